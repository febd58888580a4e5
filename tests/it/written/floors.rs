//! The house has floors: no `use` runs up, no files import each other in a circle, and nothing in it is too long.
//!
//! `docs/ARCHITECTURE.md` has them as a table. Read are the paths in the source as it stands (`use` lines and paths that are
//! written out), without comments and tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors from the ground up; rooms of one floor do not import each other.
const FLOORS: [&[&str]; 9] = [
    &["json", "config", "ports"],
    &["mapping", "error", "time", "memory"],
    &["retry"],
    &["commercetools", "klaviyo"],
    &["run"],
    &["resources"],
    &["app"],
    &["api"],
    &["guest"],
];
/// Lines of a file without its tests, at most.
const MAX_FILE: usize = 500;
/// Lines of a function, at most.
const MAX_FUNCTION: usize = 80;

/// A file of the source.
struct SourceFile {
    /// Below `src`, such as `run/window/mod.rs`.
    name: String,
    /// Its module, such as `run::window`; empty for `lib.rs`.
    module: Vec<String>,
    /// What it says, without its tests.
    text: String,
}

fn source() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    assert!(files.len() > 50, "the source is not where it was");
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(root).expect("a file of the source");
            let name = below.to_str().expect("a plain name").replace('\\', "/");
            let mut module: Vec<String> = name
                .trim_end_matches(".rs")
                .split('/')
                .map(str::to_owned)
                .collect();
            if module
                .last()
                .is_some_and(|last| last == "mod" || last == "lib")
            {
                module.pop();
            }
            let text = fs::read_to_string(&path).expect("a source file");
            let text = text
                .split("#[cfg(test)]\nmod ")
                .next()
                .expect("a beginning");
            files.push(SourceFile {
                name,
                module,
                text: text.to_owned(),
            });
        }
    }
}

/// The text without comments and without what strings hold.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| match line.find("//") {
        Some(start) if !line[..start].contains('"') => &line[..start],
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Every path that a text names: `use` trees with their braces written out, and paths that begin with `crate`, `super` or
/// `self` wherever they stand.
fn paths(text: &str) -> Vec<Vec<String>> {
    let code = code(text);
    let mut found = Vec::new();
    let mut rest = code.as_str();
    while let Some(start) = rest.find("use ") {
        let is_statement = rest[..start]
            .chars()
            .next_back()
            .is_none_or(|before| before.is_whitespace());
        rest = &rest[start + 4..];
        if is_statement && let Some(end) = rest.find(';') {
            expand(&[], &rest[..end], &mut found);
        }
    }
    for root in ["crate::", "super::"] {
        for (start, _) in code.match_indices(root) {
            // a visibility is no import
            if code[..start].ends_with("in ") {
                continue;
            }
            let path = code[start..]
                .split(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':'))
                .next()
                .unwrap_or_default();
            // what stands before braces has been written out above
            if !path.ends_with("::") {
                found.push(path.split("::").map(str::to_owned).collect());
            }
        }
    }
    found
}

/// Writes out a `use` tree.
fn expand(before: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let Some((head, tail)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default();
        let mut path = before.to_vec();
        path.extend(name.split("::").map(|part| part.trim().to_owned()));
        found.push(path);
        return;
    };
    let mut path = before.to_vec();
    path.extend(
        head.trim_end_matches("::")
            .split("::")
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned),
    );
    let inner = tail.rsplit_once('}').map_or(tail, |(inner, _)| inner);
    let mut depth = 0;
    let mut start = 0;
    for (at, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    expand(&path, &inner[start..at], found);
                }
                start = (at + 1).min(inner.len());
            }
            _ => {}
        }
    }
}

/// The file that a path leads to, seen from a file; `None` where it leads out of the source.
fn target(files: &[SourceFile], from: &SourceFile, path: &[String]) -> Option<usize> {
    let mut module: Vec<String>;
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            module = Vec::new();
            rest = &path[1..];
        }
        "self" | "super" => {
            module = from.module.clone();
            while let Some(first) = rest.first() {
                match first.as_str() {
                    "self" => {}
                    "super" => {
                        module.pop();
                    }
                    _ => break,
                }
                rest = &rest[1..];
            }
        }
        first => {
            let mut child = from.module.clone();
            child.push(first.to_owned());
            files.iter().position(|file| file.module == child)?;
            module = from.module.clone();
        }
    }
    let mut best = files.iter().position(|file| file.module == module);
    for part in rest {
        module.push(part.clone());
        match files.iter().position(|file| file.module == module) {
            Some(file) => best = Some(file),
            None => break,
        }
    }
    best
}

/// Which file imports which.
fn imports(files: &[SourceFile]) -> BTreeMap<usize, BTreeSet<usize>> {
    let of = |(at, file): (usize, &SourceFile)| {
        let targets = paths(&file.text)
            .iter()
            .filter_map(|path| target(files, file, path))
            .filter(|&to| to != at)
            .collect();
        (at, targets)
    };
    files.iter().enumerate().map(of).collect()
}

fn floor(file: &SourceFile) -> Option<usize> {
    let room = file.module.first()?;
    let floor = FLOORS
        .iter()
        .position(|rooms| rooms.contains(&room.as_str()));
    assert!(floor.is_some(), "{} is on no floor", file.name);
    floor
}

#[test]
fn the_architecture_page_has_these_floors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md");
    let page = fs::read_to_string(path).expect("docs/ARCHITECTURE.md can be read");
    let (_, section) = page.split_once("\n## Floors\n").expect("the floors");
    let section = section.split("\n## ").next().expect("a section");
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(2);
    let drawn: Vec<Vec<&str>> = rows
        .map(|row| {
            let rooms = row.split('|').nth(2).expect("a cell with rooms");
            rooms.split('`').skip(1).step_by(2).collect()
        })
        .collect();
    let floors: Vec<Vec<&str>> = FLOORS.iter().rev().map(|rooms| rooms.to_vec()).collect();
    assert_eq!(drawn, floors);
}

#[test]
fn no_use_runs_up() {
    let files = source();
    let mut wrong = Vec::new();
    for (from, targets) in imports(&files) {
        for to in targets {
            let (from, to) = (&files[from], &files[to]);
            let (Some(upper), Some(lower)) = (floor(from), floor(to)) else {
                continue;
            };
            if from.module[0] != to.module[0] && upper <= lower {
                wrong.push(format!("{} uses {}", from.name, to.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = source();
    let mut left = imports(&files);
    // whoever imports nothing that is left, or is imported by nothing that is left, is in no circle
    loop {
        let imported: BTreeSet<usize> = left.values().flatten().copied().collect();
        let free: Vec<usize> = left
            .iter()
            .filter(|(from, targets)| {
                !imported.contains(from) || targets.iter().all(|to| !left.contains_key(to))
            })
            .map(|(&from, _)| from)
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|from, _| !free.contains(from));
    }
    let circles: Vec<String> = left
        .iter()
        .flat_map(|(from, targets)| {
            let kept = targets.iter().filter(|to| left.contains_key(to));
            kept.map(|&to| format!("{} uses {}", files[*from].name, files[to].name))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn no_file_and_no_function_is_too_long() {
    let mut wrong = Vec::new();
    for file in source() {
        let lines: Vec<&str> = file.text.lines().collect();
        if lines.len() > MAX_FILE {
            wrong.push(format!("{} has {} lines", file.name, lines.len()));
        }
        for (at, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let mut words = line.trim_start().split(' ');
            if !words.by_ref().take(5).any(|word| word == "fn")
                || line.trim_start().starts_with("//")
            {
                continue;
            }
            let end = format!("{}}}", " ".repeat(indent));
            let is_declared = lines[at..]
                .iter()
                .take_while(|line| !line.ends_with('{'))
                .any(|line| line.ends_with(';'));
            let length = lines[at..].iter().position(|line| *line == end);
            if !is_declared && length.is_some_and(|length| length + 1 > MAX_FUNCTION) {
                wrong.push(format!("{}:{} is too long", file.name, at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn use_trees_and_paths_are_read() {
    let text = "use a::{b, c::{self, D}, super::e};\n// use x::y;\npub(crate) use f::G as H;\nlet x = crate::i::j(1);";
    let found: Vec<String> = paths(text).iter().map(|path| path.join("::")).collect();
    for path in ["a::b", "a::c::self", "a::c::D", "f::G", "crate::i::j"] {
        assert!(found.iter().any(|one| one == path), "{path}: {found:?}");
    }
    assert!(!found.iter().any(|one| one.starts_with('x')), "{found:?}");
}
