//! The command line: see `cargo import --help`.

use clap::Parser;
use import::arguments::Arguments;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    let code = runtime.block_on(import::program::run(arguments));
    // at once: a build, or a question that nobody answers, is not waited for
    std::process::exit(code.number().into());
}
