//! Renders a journal into a folder: `cargo run -p reports --example render -- events.jsonl out`.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [journal, folder] = arguments.as_slice() else {
        return Err("usage: render JOURNAL FOLDER".into());
    };
    let mut run = reports::record::RunRecord::from_journal(&fs::read_to_string(journal)?)?;
    reports::judge(&mut run);
    for report in reports::REPORTS {
        for file in report.render(&run)? {
            let path = Path::new(folder).join(&file.path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new(folder)))?;
            fs::write(path, &file.bytes)?;
        }
    }
    print!("{}", reports::console::summary(&run, false));
    Ok(())
}
