//! The program `coracle`.

use std::process::ExitCode;

fn main() -> ExitCode {
    builder::cli::main()
}
