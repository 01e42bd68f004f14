//! Entry point of `sipd`.

fn main() -> std::process::ExitCode {
    sipd::main()
}
