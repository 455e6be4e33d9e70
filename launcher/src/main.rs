//! The program `paddle`.

fn main() -> std::process::ExitCode {
    // Started as process 1 of a container, it is that and nothing else.
    launcher::spawn::init::entry().map_or_else(launcher::cli::main, std::process::ExitCode::from)
}
