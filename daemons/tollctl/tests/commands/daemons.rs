//! A stand-in for the daemons on a Unix socket, and `tollctl` run against it.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::Value;
use tollwire_runtime::admin::{Problem, Serving, serve_unix};

/// What was asked: `GET /accounts`, and the body.
pub type Asked = (String, Value);

#[derive(Clone, Default)]
struct Shared {
    answers: Arc<Mutex<HashMap<String, (u16, Value)>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// All daemons behind one socket.
pub struct Daemons {
    shared: Shared,
    socket: PathBuf,
    _serving: Serving,
    _runtime: tokio::runtime::Runtime,
}

/// What `tollctl` did.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Daemons {
    /// Daemons that answer these requests so, and every other with 404.
    pub fn answering(answers: &[(&str, Value)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let socket = std::env::temp_dir().join(format!(
            "tollctl-{}-{}.admin",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        let shared = Shared::default();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serving = {
            let _inside = runtime.enter();
            serve_unix(&socket, router).unwrap()
        };
        let daemons = Self {
            shared,
            socket,
            _serving: serving,
            _runtime: runtime,
        };
        for (request, answer) in answers {
            daemons.answer(request, 200, answer.clone());
        }
        daemons
    }

    /// From now on, `request` is answered so.
    pub fn answer(&self, request: &str, status: u16, answer: Value) {
        self.shared
            .answers
            .lock()
            .unwrap()
            .insert(request.into(), (status, answer));
    }

    /// What was asked since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.shared.asked.lock().unwrap())
    }

    /// `tollctl` with the sockets given, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = tollctl();
        for daemon in ["--chargingd", "--sipd", "--pinholed", "--slpd", "--shopd"] {
            command.arg(daemon).arg(&self.socket);
        }
        command.args(arguments);
        command
    }

    /// Runs `tollctl`.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, "")
    }

    /// Runs `tollctl` with `input` on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Outcome {
        finish(self.command(arguments), input)
    }

    /// Runs `tollctl`, which must succeed; its output.
    pub fn prints(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!((outcome.code, &*outcome.err), (0, ""), "{outcome:?}");
        outcome.out
    }
}

/// The program, in UTC.
pub fn tollctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollctl"));
    command.env("TZ", "UTC");
    command
}

/// Runs `command` to its end.
pub fn finish(mut command: Command, input: &str) -> Outcome {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads nothing may be gone already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1_000_000).await.unwrap();
    let name = format!("{} {}", parts.method, parts.uri);
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    shared.asked.lock().unwrap().push((name.clone(), body));
    match shared.answers.lock().unwrap().get(&name) {
        Some((200, answer)) => Json(answer).into_response(),
        Some((status, Value::String(error))) => {
            Problem::new(StatusCode::from_u16(*status).unwrap(), error).into_response()
        }
        Some(other) => panic!("{other:?}"),
        None => Problem::not_found(format!("nothing at {name}")).into_response(),
    }
}
