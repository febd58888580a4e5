//! The programs, and the folders that they are run in.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::root;

/// How long something may take in real time: more than any machine needs, so that only a fault fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// The file of a program of the workspace. Cargo makes no files of other packages' programs for a test, so they are built
/// here, once, with the features that this test was built with.
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let own = std::env::current_exe().expect("this test's file");
        let folder = own.parent().and_then(Path::parent);
        let folder = folder.expect("it is in target/<profile>/deps").to_owned();
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build
            .current_dir(root())
            .args(["build", "--locked", "--workspace"]);
        // build scripts that look at what Cargo has set for this test would run again, and much be built anew
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_package(name)) {
            build.env_remove(name);
        }
        for name in ["import", "sim", "launch"] {
            build.args(["--bin", name]);
        }
        // beside a test target, so that features are what they are for tests, and nothing is built twice
        build.args(["--test", "it"]);
        if folder
            .file_name()
            .is_some_and(|profile| profile == "release")
        {
            build.arg("--release");
        }
        let built = build.status().expect("cargo starts");
        assert!(built.success(), "the programs cannot be built: {built}");
        folder
    });
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Whether Cargo sets this variable for the programs of a package.
fn is_of_package(variable: &OsStr) -> bool {
    let variable = variable.to_string_lossy();
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

/// A folder of its own, which goes with this.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "klaviyo-bulk-import-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.join(name);
        std::fs::write(&file, text).expect("it is written");
        file
    }

    /// The names of the files in it.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("it is there");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = names
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// `cargo import` in this folder, without variables of this process. Arguments are separated by blanks.
    pub(crate) fn import(&self, arguments: &str) -> Command {
        let mut command = Command::new(program("import"));
        command
            .current_dir(&self.0)
            .args(arguments.split_whitespace())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SPIN_VARIABLE_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &str) -> Ended {
        Ended::of(self.import(arguments).output().expect("it starts"))
    }

    /// Runs it to its end with an answer to what it asks.
    pub(crate) fn answer(&self, arguments: &str, answer: &str) -> Ended {
        let mut command = self.import(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        // it may end before it asks
        let _ = stdin.write_all(answer.as_bytes());
        drop(stdin);
        Ended::of(child.wait_with_output().expect("it ends"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// It has ended with this exit code.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stderr, self.stdout);
        self
    }

    /// What it wrote for machines: each line is an object with its `event`, and the last one has the exit code.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        let events: Vec<Value> = self.stdout.lines().map(event).collect();
        let last = events.last().expect("it wrote something");
        assert_eq!(
            last["exitCode"].as_i64(),
            self.code.map(i64::from),
            "{last}"
        );
        let others = &events[..events.len() - 1];
        assert!(
            others.iter().all(|event| event["exitCode"].is_null()),
            "{others:?}"
        );
        events
    }

    /// The last of these.
    #[track_caller]
    pub(crate) fn last_event(&self) -> Value {
        self.events().pop().expect("it wrote something")
    }
}

#[track_caller]
fn event(line: &str) -> Value {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(
        event["event"].is_string() && event["at"].is_string(),
        "{event}"
    );
    event
}

/// The simulators, as a program of their own.
pub(crate) struct Sim {
    child: Child,
    env_file: PathBuf,
}

impl Sim {
    /// Starts them and has them write the folder's `.env`. Arguments are separated by blanks.
    pub(crate) fn start(folder: &Folder, arguments: &str) -> Self {
        let env_file = folder.path().join(".env");
        let mut child = Command::new(program("sim"))
            .current_dir(root())
            .arg("--env-file")
            .arg(&env_file)
            .args(arguments.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let begun = Instant::now();
        while !env_file.exists() {
            let ended = child.try_wait().expect("its state");
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "no simulators: {ended:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, env_file }
    }

    /// Changes what is in `.env`.
    pub(crate) fn edit(&self, edit: impl Fn(&str) -> Option<String>) {
        let text = std::fs::read_to_string(&self.env_file).expect("it is there");
        let lines: Vec<String> = text.lines().filter_map(edit).collect();
        std::fs::write(&self.env_file, lines.join("\n")).expect("it is written");
    }

    /// Ends them. Gives whether Klaviyo then had all that the project holds and every call kept the contracts, and what
    /// they said of it.
    pub(crate) fn end(mut self) -> (bool, String) {
        interrupt(&self.child);
        let mut said = String::new();
        let mut stdout = self.child.stdout.take().expect("it is piped");
        stdout.read_to_string(&mut said).expect("UTF-8");
        let ended = self.child.wait().expect("it ends");
        (ended.success(), said)
    }

    /// Ends them; Klaviyo has all that the project holds.
    #[track_caller]
    pub(crate) fn has_it_all(self) {
        let (has_it_all, said) = self.end();
        assert!(has_it_all && said.contains("Klaviyo has it all"), "{said}");
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.expect("kill starts").success(), "it has ended already");
}

/// `cargo import --json` that goes on.
pub(crate) struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(folder: &Folder, arguments: &str) -> Self {
        let mut command = folder.import(arguments);
        command
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let stdout = child.stdout.take().expect("it is piped");
        Self {
            child,
            lines: BufReader::new(stdout).lines(),
        }
    }

    /// Waits for an event that is so.
    #[track_caller]
    pub(crate) fn until(&mut self, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut seen = Vec::new();
        for line in self.lines.by_ref() {
            let event = event(&line.expect("UTF-8"));
            if is_so(&event) {
                return event;
            }
            seen.push(event);
        }
        panic!("it ended first: {seen:?}");
    }

    /// Waits until a run of this resource goes on.
    #[track_caller]
    pub(crate) fn until_running(&mut self, resource: &str) {
        self.until(|event| {
            event["event"] == "progress"
                && event["resource"] == resource
                && event["run"]["status"] == "running"
        });
    }

    /// As Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        interrupt(&self.child);
    }

    /// As nothing can keep a system from doing.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Waits for its end; what it said last.
    pub(crate) fn end(mut self) -> (ExitStatus, Value) {
        let last = self
            .lines
            .by_ref()
            .map(|line| event(&line.expect("UTF-8")))
            .last();
        let ended = self.child.wait().expect("it ends");
        (ended, last.expect("it says how it ended"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
