//! Entry point of `chargingd`.

fn main() -> std::process::ExitCode {
    chargingd::main()
}
