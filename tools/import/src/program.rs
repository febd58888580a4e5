//! The program: an app is opened, a command is carried out, and Ctrl-C is listened for all the while.

use serde_json::json;

use crate::app::App;
use crate::arguments::{Arguments, Command, Import};
use crate::commands::import::Errand;
use crate::commands::{Session, check, import, status, stop};
use crate::ending::{Code, CouldNotRun, could_not_run};
use crate::interrupts::Interrupts;
use crate::progress::{Progress, event};

/// Carries out what the command line asks for; gives the exit code.
pub async fn run(arguments: Arguments) -> Code {
    let screen = match (arguments.json, arguments.place.log) {
        (true, _) => Progress::Json,
        // bars and log lines do not go together
        (false, true) => Progress::Lines,
        (false, false) => Progress::new(),
    };
    match carry_out(&arguments, &screen).await {
        Ok(code) => code,
        Err(error) => {
            let code = Code::CouldNotRun;
            if screen.is_json() {
                let members = json!({"error": error.to_string(), "exitCode": code.number()});
                event("error", members);
            } else {
                screen.note(&format!("cargo import: {error}"));
            }
            code
        }
    }
}

async fn carry_out(arguments: &Arguments, screen: &Progress) -> Result<Code, CouldNotRun> {
    let mut interrupts = Interrupts::new()?;
    if arguments.command.is_some() && arguments.import != Import::default() {
        could_not_run!("options of an import do not go with status, stop and check");
    }
    let errand = match arguments.command {
        None => Some(Errand::of(&arguments.import)?),
        Some(_) => None,
    };
    let app = tokio::select! {
        app = App::open(&arguments.place) => app?,
        () = interrupts.next() => return Ok(interrupted(screen)),
    };
    let done = {
        let session = Session::new(&app, screen, &arguments.place);
        tokio::select! {
            done = command(arguments, &session, errand) => Some(done),
            () = interrupts.next() => None,
        }
    };
    if done.is_none() {
        screen.note(match app.is_here() {
            true => {
                "Ctrl-C: the window that is going on saves first, which takes half a minute at most. Ctrl-C again leaves at \
                 once; nothing is lost either way."
            }
            false => "Ctrl-C: the app goes on by itself. `cargo import stop` ends an import.",
        });
    }
    let is_here = app.is_here();
    tokio::select! {
        () = app.finish() => {}
        () = interrupts.next() => return Ok(interrupted(screen)),
    }
    match done {
        Some(done) => done,
        None => {
            if is_here {
                screen
                    .note("What is not finished is kept: `cargo import --resume` goes on with it.");
            }
            Ok(interrupted(screen))
        }
    }
}

async fn command(
    arguments: &Arguments,
    session: &Session<'_>,
    errand: Option<Errand>,
) -> Result<Code, CouldNotRun> {
    match (&arguments.command, errand) {
        (Some(Command::Status), _) => status::run(session).await,
        (Some(Command::Stop { resources }), _) => stop::run(session, resources).await,
        (Some(Command::Check), _) => check::run(session).await,
        (None, Some(errand)) => {
            let report = import::run(session, errand).await?;
            report.tell(session);
            Ok(report.code())
        }
        (None, None) => could_not_run!("there is nothing to do"),
    }
}

fn interrupted(screen: &Progress) -> Code {
    let code = Code::Interrupted;
    if screen.is_json() {
        event("interrupted", json!({"exitCode": code.number()}));
    } else {
        screen.note("Interrupted.");
    }
    code
}
