//! Short messages, as an SMPP 3.4 transmitter. The connection is made when there is something to say and kept; when
//! it fails, everything on it fails, and the queue decides when there is something to say again.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tollwire_smpp::pdu::{Address, Bind, SubmitSm};
use tollwire_smpp::session::{Due, Received, Role, Session, Settings};
use tollwire_smpp::tlv::USER_MESSAGE_REFERENCE;
use tollwire_smpp::{Frame, Framer, Pdu, TlvBuffer, Tlvs, command, encode, status};

use super::segments::{Segment, segments};
use super::{JOBS, Job};
use crate::notify::{Contact, Outcome, settings};

/// Octets of a PDU of the SMSC's.
const MAX_PDU: u32 = 65_536;
/// Time for a connection to open, and for a PDU to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Token of the bind; segments are counted from 1.
const BIND: u64 = 0;

struct Sender {
    address: Box<str>,
    system_id: Box<str>,
    password: String,
    source: Box<str>,
    window: u16,
}

/// Starts the task that owns the connection.
pub(super) fn start(settings: &settings::Sms) -> Result<mpsc::Sender<Job>, String> {
    let password = match &settings.password_file {
        Some(file) => settings::secret(file)?,
        None => String::new(),
    };
    if password.len() > 8 || !password.is_ascii() {
        return Err("notifications.sms.password_file: at most 8 characters of ASCII (SMPP 3.4 section 4.1.1)".into());
    }
    let sender = Sender {
        address: settings.address.clone(),
        system_id: settings.system_id.clone(),
        password,
        source: settings.source.clone(),
        window: settings.in_flight,
    };
    let (jobs, queue) = mpsc::channel(JOBS);
    tokio::spawn(sender.run(queue));
    Ok(jobs)
}

impl Sender {
    async fn run(self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = queue.recv().await {
            let opened = tokio::time::timeout(PATIENCE, TcpStream::connect(&*self.address)).await;
            let error = match opened {
                Ok(Ok(stream)) => {
                    let mut link = Link::new(&self, stream);
                    let error = link.converse(job, &mut queue).await;
                    link.fail(&error);
                    continue;
                }
                Ok(Err(error)) => format!("{}: {error}", self.address),
                Err(_) => format!("{}: no connection in time", self.address),
            };
            let _ = job.reply.send(Outcome::Unreachable(error));
        }
    }
}

/// A job, and what of it has no response yet.
struct Pending {
    job: Job,
    left: usize,
}

struct Link<'a> {
    sender: &'a Sender,
    stream: TcpStream,
    framer: Framer,
    session: Session,
    out: Vec<u8>,
    /// Segments that wait for room in the window, with the job they belong to.
    waiting: VecDeque<(u64, Segment)>,
    jobs: HashMap<u64, Pending>,
    /// The job of each segment under way, by its token.
    tokens: HashMap<u64, u64>,
    last: u64,
}

impl<'a> Link<'a> {
    fn new(sender: &'a Sender, stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        let settings = Settings {
            window: sender.window,
            ..Settings::default()
        };
        Self {
            sender,
            stream,
            framer: Framer::new(MAX_PDU),
            session: Session::new(Role::Esme, settings, Instant::now()),
            out: Vec::new(),
            waiting: VecDeque::new(),
            jobs: HashMap::new(),
            tokens: HashMap::new(),
            last: BIND,
        }
    }

    /// Binds, and submits until the connection fails; why it did.
    async fn converse(&mut self, first: Job, queue: &mut mpsc::Receiver<Job>) -> String {
        self.take(first);
        self.bind();
        loop {
            self.submit();
            if let Err(error) = self.write().await {
                return error.to_string();
            }
            let deadline = self.session.next_deadline().map(tokio::time::Instant::from);
            let tick = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                job = queue.recv() => match job {
                    Some(job) => self.take(job),
                    None => return "stopping".into(),
                },
                read = self.stream.read_buf(self.framer.buffer_mut()) => {
                    match read {
                        Ok(0) => return "the SMSC closed the connection".into(),
                        Ok(_) => {}
                        Err(error) => return error.to_string(),
                    }
                    while let Some(next) = self.framer.next() {
                        let ended = match next {
                            Ok(frame) => self.frame(&frame),
                            Err(error) => Err(error.to_string()),
                        };
                        if let Err(error) = ended {
                            return error;
                        }
                    }
                }
                () = tick => if let Err(error) = self.tick() {
                    return error;
                },
            }
        }
    }

    /// Everything that is under way has failed with the connection.
    fn fail(&mut self, error: &str) {
        for (_, pending) in self.jobs.drain() {
            let _ = pending.job.reply.send(Outcome::Unreachable(error.into()));
        }
    }

    fn take(&mut self, job: Job) {
        let notification = &job.letter.task.notification;
        // What belongs together within a few minutes has the number's last octet in common.
        let [.., low] = notification.id.to_be_bytes();
        let cut = segments(&job.letter.rendered.text, low);
        self.last += 1;
        let number = self.last;
        let left = cut.len();
        self.waiting
            .extend(cut.into_iter().map(|segment| (number, segment)));
        self.jobs.insert(number, Pending { job, left });
    }

    fn bind(&mut self) {
        let bind = Bind {
            system_id: (*self.sender.system_id).into(),
            password: self.sender.password.as_str().into(),
            interface_version: 0x34,
            ..Bind::default()
        };
        if let Ok(sequence) =
            self.session
                .send_request(Instant::now(), command::BIND_TRANSMITTER, BIND)
        {
            let pdu = Pdu::BindTransmitter(bind);
            let _ = encode(&pdu, status::ESME_ROK, sequence, &mut self.out);
        }
    }

    /// Submits what the window has room for.
    fn submit(&mut self) {
        while self.session.may_send(command::SUBMIT_SM).is_ok()
            && let Some((number, segment)) = self.waiting.pop_front()
        {
            // A segment of a job that has failed already is not sent.
            let Some(pending) = self.jobs.get(&number) else {
                continue;
            };
            self.last += 1;
            let token = self.last;
            let sent = self
                .session
                .send_request(Instant::now(), command::SUBMIT_SM, token);
            let Ok(sequence) = sent else {
                return;
            };
            self.tokens.insert(token, number);
            let Contact::Sms(digits) = &pending.job.letter.task.contact else {
                continue;
            };
            let [.., high, low] = pending.job.letter.task.notification.id.to_be_bytes();
            let mut tlvs = TlvBuffer::new();
            let _ = tlvs.push(USER_MESSAGE_REFERENCE, &[high, low]);
            let pdu = Pdu::SubmitSm(SubmitSm {
                source: source(&self.sender.source),
                destination: Address {
                    ton: 1,
                    npi: 1,
                    digits: digits.as_str().into(),
                },
                esm_class: segment.esm_class,
                data_coding: segment.data_coding,
                short_message: &segment.payload,
                tlvs: tlvs.as_tlvs(),
                ..SubmitSm::default()
            });
            if let Err(error) = encode(&pdu, status::ESME_ROK, sequence, &mut self.out) {
                self.finish(number, Outcome::Refused(error.to_string()));
            }
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            tokio::time::timeout(PATIENCE, self.stream.write_all(&self.out)).await??;
            self.out.clear();
        }
        Ok(())
    }

    fn frame(&mut self, frame: &Frame) -> Result<(), String> {
        let answer = |out: &mut Vec<u8>, pdu: &Pdu<'_>, command_status| {
            let _ = encode(pdu, command_status, frame.sequence_number, out);
        };
        match self.session.receive(Instant::now(), frame) {
            Received::Response { token: BIND, .. } => match frame.command_status {
                status::ESME_ROK if frame.command_id != command::GENERIC_NACK => Ok(()),
                refused => Err(format!(
                    "the SMSC refuses the bind: {}",
                    status::name(refused)
                )),
            },
            Received::Response { token, .. } => {
                if let Some(number) = self.tokens.remove(&token) {
                    self.answered(number, frame);
                }
                Ok(())
            }
            Received::Unexpected => Ok(()),
            Received::Refused(refused) => {
                answer(&mut self.out, &Pdu::GenericNack(Tlvs::EMPTY), refused);
                Ok(())
            }
            Received::Request => {
                let ok = status::ESME_ROK;
                match frame.command_id {
                    command::ENQUIRE_LINK => {
                        answer(&mut self.out, &Pdu::EnquireLinkResp(Tlvs::EMPTY), ok);
                    }
                    command::UNBIND => return Err("the SMSC has unbound".into()),
                    _ => answer(
                        &mut self.out,
                        &Pdu::GenericNack(Tlvs::EMPTY),
                        status::ESME_RINVCMDID,
                    ),
                }
                self.session.responded(frame.command_id, ok);
                Ok(())
            }
        }
    }

    fn answered(&mut self, number: u64, frame: &Frame) {
        if frame.command_id == command::GENERIC_NACK || frame.command_status != status::ESME_ROK {
            self.finish(number, judge(frame.command_status));
        } else if let Some(pending) = self.jobs.get_mut(&number) {
            pending.left = pending.left.saturating_sub(1);
            if pending.left == 0 {
                self.finish(number, Outcome::Told);
            }
        }
    }

    fn finish(&mut self, number: u64, outcome: Outcome) {
        if let Some(pending) = self.jobs.remove(&number) {
            let _ = pending.job.reply.send(outcome);
        }
    }

    fn tick(&mut self) -> Result<(), String> {
        while let Some(due) = self.session.tick(Instant::now()) {
            match due {
                Due::SendEnquireLink { sequence_number } => {
                    let pdu = Pdu::EnquireLink(Tlvs::EMPTY);
                    let _ = encode(&pdu, status::ESME_ROK, sequence_number, &mut self.out);
                }
                Due::RequestTimedOut { token, .. } => {
                    if let Some(number) = self.tokens.remove(&token) {
                        let error = "no submit_sm_resp in time".into();
                        self.finish(number, Outcome::Unreachable(error));
                    }
                }
                Due::Close(reason) => return Err(format!("the SMSC does not answer: {reason:?}")),
            }
        }
        Ok(())
    }
}

fn source(source: &str) -> Address<'_> {
    match source.strip_prefix('+').unwrap_or(source) {
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Address {
            ton: 1,
            npi: 1,
            digits: digits.into(),
        },
        name => Address {
            ton: 5,
            npi: 0,
            digits: name.into(),
        },
    }
}

/// What the SMSC's refusal means: final is only what it says about this destination or this text.
fn judge(command_status: u32) -> Outcome {
    let name = status::name(command_status).to_owned();
    match command_status {
        status::ESME_RINVMSGLEN
        | status::ESME_RINVDSTADR
        | status::ESME_RINVDSTTON
        | status::ESME_RINVDSTNPI
        | status::ESME_RINVDCS => Outcome::Refused(name),
        _ => Outcome::Failed(name),
    }
}
