//! kubectl in checks: what it prints and how it ends are facts like any answer.

use std::fmt::Write as _;

use harness::check::{CheckContext, CheckFault, CheckResult};
use harness::kubectl::{Found, Kubectl, KubectlError, Output, Reach, Running, Session};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most that is taken of an answer through `kubectl proxy`, in bytes.
const ANSWER_LIMIT: u64 = 1 << 20;
/// Characters of an output that a message shows.
const SHOWN: usize = 300;

/// kubectl with a way to the server, in the check's namespace.
pub(crate) struct Cli<'c> {
    cx: &'c CheckContext,
    session: Session,
    namespace: String,
    version: String,
}

/// The kubectl that was found.
pub(crate) fn found(cx: &CheckContext) -> CheckResult<&Kubectl> {
    match &cx.offer().kubectl {
        Found::Is(kubectl) => Ok(kubectl),
        Found::Not(reason) => Err(CheckFault::Skipped(reason.clone())),
    }
}

/// One that hangs does so because of what the server answers or does not; one that cannot be run is the instrument's affair.
fn fault(error: KubectlError) -> CheckFault {
    match error {
        KubectlError::Late(_) | KubectlError::Ended(_) => CheckFault::Failed(error.to_string()),
        _ => CheckFault::Errored(error.to_string()),
    }
}

impl<'c> Cli<'c> {
    pub(crate) async fn open(cx: &'c CheckContext, reach: Reach) -> CheckResult<Self> {
        let kubectl = found(cx)?;
        let session = Session::open(cx.api(), kubectl, reach, cx.limits().patience)
            .await
            .map_err(fault)?;
        Ok(Self {
            cx,
            session,
            namespace: cx.namespace().await?.to_owned(),
            version: kubectl.version.clone(),
        })
    }

    /// Runs it, however it ends.
    pub(crate) async fn run(&self, args: &[&str], input: Option<&str>) -> CheckResult<Output> {
        let namespace = format!("--namespace={}", self.namespace);
        let all = [args, &[namespace.as_str()]].concat();
        self.session.run(&all, input).await.map_err(fault)
    }

    /// Runs it, and it must succeed. Gives what it printed.
    pub(crate) async fn ok(&self, args: &[&str], input: Option<&str>) -> CheckResult<String> {
        let output = self.run(args, input).await?;
        self.cx
            .expect(&self.succeeds(args), output.code == Some(0), || {
                shown(&output)
            })?;
        Ok(output.stdout)
    }

    /// Runs it, and it must fail and say one of these.
    pub(crate) async fn fails(
        &self,
        args: &[&str],
        input: Option<&str>,
        texts: &[&str],
    ) -> CheckResult {
        let output = self.run(args, input).await?;
        let said = texts.iter().any(|text| output.stderr.contains(text));
        let failed = output.code.is_some_and(|code| code != 0);
        self.cx.expect(
            &format!("{} to fail with one of {texts:?}", self.command(args)),
            failed && said,
            || shown(&output),
        )
    }

    /// Runs it, and what it prints holds these texts in this order.
    pub(crate) async fn prints(&self, args: &[&str], texts: &[&str]) -> CheckResult {
        let stdout = self.ok(args, None).await?;
        self.cx.expect(
            &format!("{} to print {texts:?}, in this order", self.command(args)),
            in_order(&stdout, texts),
            || stdout.clone(),
        )
    }

    /// Starts it and gives it once it has printed a line.
    pub(crate) async fn start(&self, args: &[&str]) -> CheckResult<Running> {
        let running = self.session.start(args).await.map_err(fault)?;
        self.cx.expect(
            &format!("{} to say that it serves", self.command(args)),
            running.first_line.starts_with("Starting to serve on "),
            || running.first_line.clone(),
        )?;
        Ok(running)
    }

    fn command(&self, args: &[&str]) -> String {
        format!("kubectl {} ({})", args.join(" "), self.version)
    }

    fn succeeds(&self, args: &[&str]) -> String {
        format!("{} to succeed", self.command(args))
    }
}

fn shown(output: &Output) -> String {
    let mut text = match output.code {
        Some(code) => format!("exit code {code}"),
        None => "an end by a signal".to_owned(),
    };
    for (name, said) in [("stderr", &output.stderr), ("stdout", &output.stdout)] {
        let said: String = said.trim().chars().take(SHOWN).collect();
        let _ = write!(text, "; {name}: {said}");
    }
    text
}

/// Whether the texts stand in this order, each behind the one before.
fn in_order(text: &str, parts: &[&str]) -> bool {
    let mut rest = text;
    parts.iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// GET over a connection, in HTTP's oldest form, which needs no library: status and body.
pub(crate) async fn fetch(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
) -> std::io::Result<(u16, String)> {
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LIMIT).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok((status, body.unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_counts() {
        assert!(in_order("a b a c", &["a", "a", "c"]));
        assert!(!in_order("a b c", &["b", "a"]));
        assert!(!in_order("a", &["a", "a"]));
    }
}
