//! Entry point of `slpd`.

fn main() -> std::process::ExitCode {
    tollwire_slpd::main()
}
