//! Entry point of `pinholed`.

fn main() -> std::process::ExitCode {
    pinholed::main()
}
