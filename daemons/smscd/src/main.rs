//! Entry point of `smscd`.

fn main() -> std::process::ExitCode {
    tollwire_smscd::main()
}
