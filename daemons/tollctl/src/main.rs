//! Entry point of `tollctl`.

fn main() -> std::process::ExitCode {
    tollctl::main()
}
