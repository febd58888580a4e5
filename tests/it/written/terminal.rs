//! What the documents say of the command line is what it takes, and how it ends.

use import::arguments::Arguments;
use import::ending::Code;

use crate::support::root;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The command lines of a document: in backticks, and in blocks up to their comments.
fn commands(text: &str) -> Vec<String> {
    let one_line = text.replace('\n', " ");
    let inline = one_line
        .split('`')
        .filter(|code| code.starts_with("cargo import"));
    let blocks = text.lines().filter(|line| line.starts_with("cargo import"));
    let blocks = blocks.map(|line| line.split('#').next().unwrap_or_default());
    inline
        .filter(|code| !code.contains("  "))
        .chain(blocks)
        .map(|command| command.replace("$app", "--app https://my-app.example --token-file token"))
        .collect()
}

#[test]
fn examples_are_taken() {
    let mut count = 0;
    for path in ["README.md", "docs/HANDBOOK.md", "CHANGELOG.md"] {
        for command in commands(&read(path)) {
            count += 1;
            match Arguments::of_line(&command) {
                Ok(_) => {}
                // help is no error, but for its parser
                Err(_) if command.trim_end().ends_with("--help") => {}
                Err(error) => panic!("{path}: {command}: {error}"),
            }
        }
    }
    assert!(count > 40, "the examples are not where they were: {count}");
    assert!(Arguments::of_line("cargo import --no-such-option").is_err());
}

#[test]
fn every_option_is_in_the_handbook() {
    let handbook = read("docs/HANDBOOK.md");
    let (_, section) = handbook
        .split_once("\n## From a terminal\n")
        .expect("its section");
    let section = section.split("\n## ").next().expect("a section");
    for option in Arguments::options() {
        // what is for trying things out is in the help only
        let is_aside = ["--variable", "--manifest", "--log"].contains(&option.as_str());
        assert!(is_aside || section.contains(&option), "{option}");
    }
}

#[test]
fn the_handbook_has_every_exit_code() {
    let handbook = read("docs/HANDBOOK.md");
    let (_, table) = handbook
        .split_once("\n| exit code | means |\n")
        .expect("a table");
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let codes: Vec<&str> = rows
        .filter_map(|row| row.split('|').nth(1))
        .map(str::trim)
        .collect();
    let expected: Vec<String> = Code::ALL.map(|code| code.number().to_string()).into();
    assert_eq!(codes, expected);
}
