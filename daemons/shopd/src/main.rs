//! Entry point of `shopd`.

fn main() -> std::process::ExitCode {
    tollwire_shopd::main()
}
