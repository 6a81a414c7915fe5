//! Kernel modules: what each needs, in the order in which they load.
//!
//! Debian's kernel packages carry no `modules.dep`: it is made at installation by depmod, which a host need not have.
//! All that it says of dependencies and aliases stands in the modules themselves, in their section `.modinfo`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};

/// What a module says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ModuleInfo {
    /// Modules that must be loaded before it, by name.
    pub depends: Vec<String>,
    /// Patterns by which the kernel asks for it.
    pub aliases: Vec<String>,
}

/// A module's name as the kernel has it: of `xt-mark.ko.xz`, `xt_mark`.
pub(super) fn name_of(file: &str) -> Option<String> {
    let base = file.rsplit('/').next()?;
    let (stem, rest) = base.split_once(".ko")?;
    matches!(rest, "" | ".xz" | ".zst" | ".gz").then(|| stem.replace('-', "_"))
}

/// Reads the section `.modinfo` of a 64-bit little-endian ELF object.
///
/// # Errors
/// When it is none, or has no such section.
pub(super) fn read_info(object: &[u8]) -> anyhow::Result<ModuleInfo> {
    let number = |at: usize, size: usize| -> anyhow::Result<usize> {
        let bytes = object.get(at..at + size).context("it was cut short")?;
        let value = bytes
            .iter()
            .rev()
            .fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        Ok(usize::try_from(value)?)
    };
    if object.get(..6) != Some(b"\x7fELF\x02\x01") {
        bail!("it is no 64-bit little-endian ELF object");
    }
    let (table, size, count, names) = (
        number(40, 8)?,
        number(58, 2)?,
        number(60, 2)?,
        number(62, 2)?,
    );
    let section = |index: usize| -> anyhow::Result<(usize, &[u8])> {
        let at = table + index * size;
        let (offset, length) = (number(at + 24, 8)?, number(at + 32, 8)?);
        let end = offset.checked_add(length).context("it was cut short")?;
        // A section without bits in the file (.bss) has none here.
        Ok((number(at, 4)?, object.get(offset..end).unwrap_or_default()))
    };
    let (_, names) = section(names)?;
    for index in 1..count {
        let (name, content) = section(index)?;
        if names
            .get(name..)
            .is_some_and(|name| name.starts_with(b".modinfo\0"))
        {
            return Ok(parse_info(content));
        }
    }
    bail!("it has no section .modinfo")
}

fn parse_info(content: &[u8]) -> ModuleInfo {
    let mut info = ModuleInfo::default();
    for line in content.split(|byte| *byte == 0) {
        let line = String::from_utf8_lossy(line);
        match line.split_once('=') {
            Some(("depends", names)) => {
                let names = names.split(',').filter(|name| !name.is_empty());
                info.depends
                    .extend(names.map(|name| name.replace('-', "_")));
            }
            Some(("alias", alias)) => info.aliases.push(alias.to_owned()),
            _ => {}
        }
    }
    info
}

/// The modules in an order in which each comes after all that it needs, without repetition.
///
/// # Errors
/// When one is needed that is not there, or the needs go in a circle.
pub(super) fn order(
    wanted: &[&str],
    depends: &BTreeMap<String, Vec<String>>,
    builtin: &BTreeSet<String>,
) -> anyhow::Result<Vec<String>> {
    let mut order = Vec::new();
    let mut entered = BTreeSet::new();
    for name in wanted {
        visit(name, depends, builtin, &mut entered, &mut order)?;
    }
    Ok(order)
}

fn visit(
    name: &str,
    depends: &BTreeMap<String, Vec<String>>,
    builtin: &BTreeSet<String>,
    entered: &mut BTreeSet<String>,
    order: &mut Vec<String>,
) -> anyhow::Result<()> {
    if builtin.contains(name) || order.iter().any(|done| done == name) {
        return Ok(());
    }
    if !entered.insert(name.to_owned()) {
        bail!("failed to order the kernel's modules: {name} needs itself");
    }
    let needs = depends
        .get(name)
        .with_context(|| format!("failed to find the kernel module {name}: this kernel neither has it nor has it built in"))?;
    for need in needs {
        visit(need, depends, builtin, entered, order)?;
    }
    order.push(name.to_owned());
    Ok(())
}

/// The files that modprobe reads: `modules.dep` (with dependencies in full) and `modules.alias`.
///
/// # Errors
/// As [`order`].
pub(super) fn index(
    chosen: &[String],
    files: &BTreeMap<String, String>,
    infos: &BTreeMap<String, ModuleInfo>,
    builtin: &BTreeSet<String>,
) -> anyhow::Result<(String, String)> {
    let depends = infos
        .iter()
        .map(|(name, info)| (name.clone(), info.depends.clone()))
        .collect();
    let (mut dep, mut alias) = (String::new(), String::new());
    for name in chosen {
        let mut needs = order(&[name], &depends, builtin)?;
        // modprobe loads from the end of the line, and the module itself is its head.
        needs.pop();
        needs.reverse();
        let paths: Vec<_> = needs
            .iter()
            .filter_map(|need| files.get(need))
            .cloned()
            .collect();
        let file = files
            .get(name)
            .with_context(|| format!("failed to find the file of the module {name}"))?;
        dep.push_str(format!("{file}: {}", paths.join(" ")).trim_end());
        dep.push('\n');
        for pattern in infos
            .get(name)
            .map(|info| info.aliases.as_slice())
            .unwrap_or_default()
        {
            alias.push_str(&format!("alias {pattern} {name}\n"));
        }
    }
    Ok((dep, alias))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        edges
            .iter()
            .map(|(name, needs)| ((*name).to_owned(), owned(needs)))
            .collect()
    }

    #[test]
    fn each_module_comes_after_all_that_it_needs() {
        let graph = graph(&[
            ("virtio", &[]),
            ("virtio_ring", &["virtio"]),
            ("virtio_net", &["net_failover", "virtio", "virtio_ring"]),
            ("net_failover", &["failover"]),
            ("virtio_blk", &["virtio_ring", "virtio"]),
        ]);
        let builtin = BTreeSet::from(["failover".to_owned(), "ext4".to_owned()]);
        assert_eq!(
            order(
                &["virtio_blk", "virtio_net", "ext4", "virtio_blk"],
                &graph,
                &builtin
            )
            .unwrap(),
            [
                "virtio",
                "virtio_ring",
                "virtio_blk",
                "net_failover",
                "virtio_net"
            ]
        );
        let missing = order(&["virtio_net"], &graph, &BTreeSet::new()).unwrap_err();
        assert!(missing.to_string().contains("module failover"), "{missing}");
    }

    #[test]
    fn a_circle_is_an_error_and_not_a_hang() {
        let graph = graph(&[("a", &["b"]), ("b", &["a"])]);
        assert!(order(&["a"], &graph, &BTreeSet::new()).is_err());
    }

    #[test]
    fn names_and_sections_are_read() {
        assert_eq!(
            name_of("kernel/net/xt-mark.ko.xz").as_deref(),
            Some("xt_mark")
        );
        assert_eq!(name_of("modules.dep"), None);
        let info =
            parse_info(b"alias=ipt_mark\0license=GPL\0depends=x_tables,nf-conntrack\0\0alias=b\0");
        assert_eq!(info.depends, ["x_tables", "nf_conntrack"]);
        assert_eq!(info.aliases, ["ipt_mark", "b"]);
        assert!(read_info(b"\x7fELF\x02\x01").is_err());
        assert!(read_info(&[0; 100]).is_err());
    }

    #[test]
    fn the_index_names_files_and_aliases() {
        let info = |depends: &[&str], aliases: &[&str]| ModuleInfo {
            depends: depends.iter().map(|s| (*s).to_owned()).collect(),
            aliases: aliases.iter().map(|s| (*s).to_owned()).collect(),
        };
        let infos = BTreeMap::from([
            ("a".to_owned(), info(&[], &[])),
            ("b".to_owned(), info(&["a"], &[])),
            ("c".to_owned(), info(&["b"], &["ipt_c"])),
        ]);
        let files = ["a", "b", "c"].map(|name| (name.to_owned(), format!("kernel/{name}.ko")));
        let chosen = ["a", "c"].map(str::to_owned);
        let (dep, alias) = index(&chosen, &files.into(), &infos, &BTreeSet::new()).unwrap();
        assert_eq!(dep, "kernel/a.ko:\nkernel/c.ko: kernel/b.ko kernel/a.ko\n");
        assert_eq!(alias, "alias ipt_c c\n");
    }
}
