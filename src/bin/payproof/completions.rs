//! Completions for shells.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::output::print;
use crate::status::Status;
use crate::trouble::Trouble;

/// Print completions for a shell
///
/// For bash: payproof completions bash > ~/.local/share/bash-completion/completions/payproof
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell they are for
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<Status, Trouble> {
    let mut script = Vec::new();
    generate(args.shell, &mut crate::Args::command(), "payproof", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Status::Fine)
}
