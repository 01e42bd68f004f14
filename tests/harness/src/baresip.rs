//! baresip: a real SIP phone, with a file of tone for a microphone.

use std::fs;

use crate::net::Host;
use crate::process::{Process, Scratch};
use crate::wait::{PATIENCE, wait_until};

/// A running baresip with one account. It answers every call at once.
#[derive(Debug)]
pub struct Baresip {
    process: Process,
}

/// Who it is and where it registers.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// User name; the password is `<user>-password`.
    pub user: &'a str,
    /// The registrar's domain.
    pub domain: &'a str,
    /// The outbound proxy, as `address:port`.
    pub proxy: &'a str,
    /// `udp` or `tcp`.
    pub transport: &'a str,
    /// Registers for this many seconds; 0 does not register.
    pub register_seconds: u32,
}

impl Baresip {
    /// Starts it on `host`; with `dial`, it calls that URI as soon as it can.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    #[track_caller]
    pub fn start(
        host: &Host,
        scratch: &Scratch,
        account: &Account<'_>,
        dial: Option<&str>,
    ) -> Self {
        let Account {
            user,
            domain,
            proxy,
            transport,
            register_seconds,
        } = account;
        let folder = scratch.path().join(format!("baresip-{user}"));
        fs::create_dir_all(&folder).expect("a folder for baresip");
        let tone = folder.join("tone.wav");
        fs::write(&tone, wave()).expect("its microphone");
        let modules = ["g711", "aufile", "aubridge", "uuid"]
            .map(|name| format!("module {name}.so\n"))
            .concat();
        let config = format!(
            "sip_listen {}:5060\naudio_source aufile,{}\naudio_player aubridge,none\n\
             audio_alert aubridge,none\nrtp_ports 20000-20100\nrtcp_mux no\n\
             module_path /usr/lib/baresip/modules\n{modules}\
             module_tmp account.so\nmodule_app menu.so\n",
            host.ip,
            tone.display()
        );
        fs::write(folder.join("config"), config).expect("its configuration");
        let account = format!(
            "<sip:{user}@{domain};transport={transport}>;auth_user={user};\
             auth_pass={user}-password;outbound=\"sip:{proxy};transport={transport}\";\
             regint={register_seconds};answermode=auto;audio_codecs=PCMU/8000/1;\
             mediaenc=;ptime=20\n"
        );
        fs::write(folder.join("accounts"), account).expect("its account");
        fs::write(folder.join("contacts"), "").expect("its contacts");
        let mut command = host.command("baresip");
        command.arg("-f").arg(&folder).arg("-v");
        if let Some(uri) = dial {
            command.args(["-e", &format!("/dial {uri}")]);
        }
        let log = scratch.path().join(format!("baresip-{user}.log"));
        let mut phone = Self {
            process: Process::start(&format!("baresip {user}"), &mut command, &log),
        };
        phone.wait_for_log("baresip is ready");
        if *register_seconds > 0 {
            phone.wait_for_log("200 OK");
        }
        phone
    }

    /// The process and its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits until it has said `text`.
    ///
    /// # Panics
    /// When it does not, or ends.
    #[track_caller]
    pub fn wait_for_log(&mut self, text: &str) {
        wait_until(&format!("baresip to say {text:?}"), PATIENCE, || {
            assert!(
                self.process.ended().is_none(),
                "{}",
                self.process.log_tail()
            );
            self.process.log().contains(text)
        });
    }

    /// Hangs up what it has and ends, as on ctrl-c.
    pub fn quit(mut self) {
        self.process.signal(nix::sys::signal::Signal::SIGINT);
        self.process.wait(PATIENCE);
    }
}

/// A minute of a 400 Hz square wave as the WAV file that aufile reads: 8 kHz, 16 bits, mono.
fn wave() -> Vec<u8> {
    const SAMPLES: u32 = 8000 * 60;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + 2 * SAMPLES).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes()); // PCM
    file.extend(1_u16.to_le_bytes()); // mono
    file.extend(8000_u32.to_le_bytes());
    file.extend(16_000_u32.to_le_bytes()); // octets per second
    file.extend(2_u16.to_le_bytes()); // octets per sample
    file.extend(16_u16.to_le_bytes()); // bits
    file.extend(b"data");
    file.extend((2 * SAMPLES).to_le_bytes());
    for sample in 0..SAMPLES {
        let level: i16 = if sample % 20 < 10 { 3000 } else { -3000 };
        file.extend(level.to_le_bytes());
    }
    file
}
