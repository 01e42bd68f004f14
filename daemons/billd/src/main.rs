//! Entry point of `billd`.

fn main() -> std::process::ExitCode {
    tollwire_billd::main()
}
