//! Whole calls in virtual time: phones, charging system and limiter around the
//! core, with orderings permuted by random latency, and with loss.
//!
//! After every run nothing may be left: no pinhole, no reservation, no call,
//! no message kept back, no transaction, and no phone that thinks it talks.

mod phone;
mod world;

use phone::Action;
use sipd::calls::{EndCause, Gate};
use std::time::Duration;
use world::{Planned, Weather, World};

const SEEDS: u64 = 60;
const LONG: Duration = Duration::from_secs(900);

/// All orderings, or the one that is being looked into.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let one = std::env::var("SIMULATION_SEED").ok();
    match one.and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..=seed,
        None => 1..=SEEDS,
    }
}

/// Runs a scenario under many orderings, first without and then with loss.
fn permuted(name: &str, build: impl Fn(&mut World), callees: usize, check: impl Fn(&World)) {
    for sip_loss in [0, 20] {
        for seed in seeds() {
            let mut world = World::new(seed, callees);
            world.weather.sip_loss = sip_loss;
            world.plan(0, 0, Action::Invite);
            build(&mut world);
            let full = world.charging.balance;
            world.run(LONG);
            let what = format!("{name}, seed {seed}, loss {sip_loss}");
            world.assert_quiet(&what);
            assert_eq!(
                world.charging.balance + world.charging.charged,
                full,
                "{what}: the books do not balance"
            );
            if sip_loss == 0 {
                check(&world);
            }
        }
    }
}

#[test]
fn a_call_is_answered_talked_and_hung_up_by_either_side() {
    for side in [0, 1] {
        permuted(
            "normal",
            |world| world.plan(side, 20_000, Action::Bye),
            1,
            |world| {
                assert_eq!(world.phones[0].final_status, Some(200));
                let cause = [EndCause::CallerBye, EndCause::CalleeBye][side];
                assert_eq!(world.charging.ends, [cause]);
                assert!((18..=20).contains(&world.charging.charged));
            },
        );
    }
}

#[test]
fn a_balance_of_seconds_is_used_to_the_last_one() {
    for (balance, quantum) in [(7, 30), (30, 30), (45, 10), (61, 30), (5, 1)] {
        permuted(
            "prepaid",
            |world| {
                world.charging.balance = balance;
                world.charging.quantum = quantum;
            },
            1,
            |world| {
                assert_eq!(world.charging.balance, 0);
                assert_eq!(world.charging.charged, balance);
                assert_eq!(world.charging.ends, [EndCause::CreditExhausted]);
                // One accounting session.
                let sessions: Vec<_> = world.spool.values().collect();
                assert_eq!(sessions.len(), 1);
                assert!(sessions[0].len() as u32 >= 2);
                assert_eq!(world.phones[0].byes_received, 1);
                assert_eq!(world.phones[1].byes_received, 1);
            },
        );
    }
}

#[test]
fn requests_before_the_answer_count_in_the_byes_of_the_proxy() {
    permuted(
        "PRACK, then the credit ends",
        |world| {
            world.charging.balance = 7;
            world.phones[1].reliable = true;
        },
        1,
        |world| {
            assert!(world.phones[1].pracked);
            assert_eq!(world.charging.ends, [EndCause::CreditExhausted]);
            // A BYE with the CSeq of the PRACK would be refused (RFC 3261 12.2.2).
            assert_eq!(world.phones[0].byes_received, 1);
            assert_eq!(world.phones[1].byes_received, 1);
        },
    );
}

#[test]
fn calls_end_as_their_parties_want_also_when_nothing_else_gets_through() {
    permuted(
        "flooded",
        |world| {
            world.plan_outside(9_000, Planned::Flood);
            world.plan(0, 10_000, Action::Bye);
        },
        1,
        |world| {
            assert_eq!(world.charging.ends, [EndCause::CallerBye]);
            assert!((8..=10).contains(&world.charging.charged));
        },
    );
}

#[test]
fn who_cannot_pay_is_told_so_and_costs_nothing() {
    for (code, status) in [(4012, 402), (5030, 403), (4010, 403), (3004, 503)] {
        permuted(
            "refused",
            |world| world.charging.refuses_with = Some(code),
            1,
            |world| {
                assert_eq!(world.phones[0].final_status, Some(status));
                assert!(!world.phones[1].answered);
                assert_eq!(world.charging.charged, 0);
            },
        );
    }
}

#[test]
fn nobody_answers_nobody_pays() {
    permuted(
        "cancelled",
        |world| {
            world.phones[1].answer_after = None;
            world.plan(0, 5_000, Action::Cancel);
        },
        1,
        |world| {
            assert_eq!(world.phones[0].final_status, Some(487));
            assert_eq!(world.charging.charged, 0);
        },
    );
    permuted(
        "declined",
        |world| {
            world.phones[1].answer_after = None;
            world.plan(1, 5_000, Action::Decline);
        },
        1,
        |world| assert_eq!(world.phones[0].final_status, Some(486)),
    );
    permuted(
        "rings for ever",
        |world| world.phones[1].answer_after = None,
        1,
        |world| assert_eq!(world.charging.charged, 0),
    );
    permuted(
        "absent",
        |world| world.phones[1].gone = true,
        1,
        |world| {
            assert_eq!(world.phones[0].final_status, Some(408));
        },
    );
}

#[test]
fn cancel_crosses_the_answer_at_every_moment() {
    for moment in (0..900).step_by(30) {
        permuted(
            &format!("cancel at {moment}"),
            |world| world.plan(0, moment, Action::Cancel),
            1,
            |_| {},
        );
        if moment > 600 {
            break;
        }
    }
}

#[test]
fn two_forks_answer_and_one_dialog_is_left() {
    for apart in [0, 10, 50, 150, 400] {
        permuted(
            &format!("forks {apart} ms apart"),
            |world| {
                world.phones[2].answer_after = Some(Duration::from_millis(300 + apart));
                world.plan(0, 15_000, Action::Bye);
            },
            2,
            |world| {
                assert_eq!(world.phones[0].final_status, Some(200));
                assert_eq!(world.charging.ends, [EndCause::CallerBye]);
            },
        );
    }
}

#[test]
fn byes_cross_each_other_and_re_invites() {
    for apart in [0, 20, 60, 120] {
        permuted(
            "bye crosses bye",
            |world| {
                world.plan(0, 10_000, Action::Bye);
                world.plan(1, 10_000 + apart, Action::Bye);
            },
            1,
            |_| {},
        );
        permuted(
            "bye crosses re-INVITE",
            |world| {
                world.plan(0, 10_000, Action::Hold);
                world.plan(1, 10_000 + apart, Action::Bye);
            },
            1,
            |_| {},
        );
    }
}

#[test]
fn hold_shuts_one_direction() {
    for side in [0, 1] {
        permuted(
            "hold",
            |world| {
                world.plan(side, 10_000, Action::Hold);
                world.plan(0, 20_000, Action::Bye);
            },
            1,
            |world| {
                let held = [Gate::FromCaller, Gate::FromCallee][side];
                assert!(world.limiter.gates.contains(&held));
            },
        );
    }
}

#[test]
fn early_media_and_late_offers() {
    permuted(
        "early media",
        |world| {
            world.phones[1].early = true;
            world.phones[1].answer_after = Some(Duration::from_secs(3));
            world.plan(0, 10_000, Action::Bye);
        },
        1,
        |world| {
            assert_eq!(world.limiter.gates.first(), Some(&Gate::FromCallee));
            assert!(world.limiter.gates.contains(&Gate::Both));
        },
    );
    permuted(
        "early media, then cancelled",
        |world| {
            world.phones[1].early = true;
            world.phones[1].answer_after = None;
            world.plan(0, 4_000, Action::Cancel);
        },
        1,
        |_| {},
    );
    permuted(
        "late offer",
        |world| {
            world.phones[0].late_offer = true;
            world.plan(0, 10_000, Action::Bye);
        },
        1,
        |world| assert!(world.limiter.gates.contains(&Gate::Both)),
    );
}

#[test]
fn phones_that_vanish_or_never_acknowledge() {
    permuted(
        "200 never acknowledged",
        |world| world.phones[0].never_acks = true,
        1,
        |_| {},
    );
    permuted(
        "no media",
        |world| {
            world.plan_outside(12_000, Planned::BearerLost);
        },
        1,
        |world| {
            assert_eq!(world.charging.ends, [EndCause::LossOfBearer]);
            assert!((8..=10).contains(&world.charging.charged));
        },
    );
}

#[test]
fn a_session_nobody_refreshes_ends() {
    permuted(
        "session timer",
        |world| world.phones[0].knows_timers = true,
        1,
        |world| {
            assert_eq!(world.charging.ends, [EndCause::SessionExpired]);
            assert!((199..=201).contains(&world.charging.charged));
            assert_eq!(world.phones[0].byes_received, 1);
            assert_eq!(world.phones[1].byes_received, 1);
        },
    );
}

#[test]
fn operator_and_limiter_end_a_call_in_any_phase() {
    for moment in [20, 150, 320, 420, 600, 5_000] {
        permuted(
            "operator",
            |world| {
                world.plan_outside(moment, Planned::OperatorEnd);
                world.plan(0, 60_000, Action::Bye);
            },
            1,
            |_| {},
        );
        permuted(
            "limiter",
            |world| {
                world.plan_outside(moment, Planned::LimiterEnd);
                world.plan(0, 60_000, Action::Bye);
            },
            1,
            |_| {},
        );
    }
}

#[test]
fn a_limiter_that_refuses_means_no_call() {
    permuted(
        "limiter refuses",
        |world| world.limiter.refuses = true,
        1,
        |world| {
            assert_eq!(world.phones[0].final_status, Some(503));
            assert_eq!(world.charging.charged, 0);
        },
    );
}

#[test]
fn charging_away_ends_calls_with_their_grant() {
    permuted(
        "charging away from the start",
        |world| world.weather.unreachable = true,
        1,
        |world| assert_eq!(world.phones[0].final_status, Some(503)),
    );
    permuted(
        "charging away in the call",
        |world| {
            world.plan_outside(5_000, Planned::ChargingDown);
            world.plan_outside(100_000, Planned::ChargingUp);
        },
        1,
        |world| {
            assert_eq!(world.charging.charged, 30);
            assert_eq!(world.charging.ends, [EndCause::SupervisionExpired]);
        },
    );
}

#[test]
fn links_that_lose_orders_and_answers_leave_nothing_behind() {
    permuted(
        "lossy links",
        |world| {
            world.weather = Weather {
                link_loss: 25,
                ..world.weather
            };
            world.plan(0, 40_000, Action::Bye);
        },
        2,
        |_| {},
    );
}

#[test]
fn a_restart_adopts_live_calls_and_ends_the_others() {
    for (moment, away, charged) in [(10_000, 2, 30..=61), (10_000, 60, 30..=30)] {
        permuted(
            "restart",
            |world| {
                world.charging.balance = 61;
                world.plan_outside(moment, Planned::Restart(Duration::from_secs(away)));
            },
            1,
            |world| {
                assert!(charged.contains(&world.charging.charged));
                assert_eq!(world.charging.ends.len(), 1);
            },
        );
    }
    permuted(
        "restart after requests that the journal does not tell of",
        |world| {
            world.charging.balance = 15;
            world.plan(0, 8_000, Action::Info);
            world.plan(1, 8_000, Action::Info);
            world.plan_outside(10_000, Planned::Restart(Duration::from_secs(2)));
        },
        1,
        |world| {
            assert_eq!(world.charging.charged, 15);
            assert_eq!(world.phones[0].byes_received, 1);
            assert_eq!(world.phones[1].byes_received, 1);
        },
    );
    for after in [20, 60, 100, 150, 200] {
        // Without loss: a BYE that is lost with its transaction is not sent again.
        for seed in seeds() {
            let mut world = World::new(seed, 1);
            world.plan(0, 0, Action::Invite);
            world.plan_outside(10_000, Planned::OperatorEnd);
            let restart = Planned::Restart(Duration::from_secs(1));
            world.plan_outside(10_000 + after, restart);
            world.run(LONG);
            world.assert_quiet(&format!("restart {after} ms into the end, seed {seed}"));
            assert_eq!(world.spool.len(), 1);
            // And after a refusal: its event is made once.
            let mut world = World::new(seed, 1);
            world.charging.refuses_with = Some(5003);
            world.plan(0, 0, Action::Invite);
            world.plan_outside(100 + after, restart);
            world.run(LONG);
            world.assert_quiet(&format!("restart {after} ms into a refusal, seed {seed}"));
        }
    }
    for moment in [10, 60, 150, 300, 420, 500, 700] {
        permuted(
            "restart during set-up",
            |world| {
                let away = Duration::from_secs(1);
                world.plan_outside(moment, Planned::Restart(away));
                world.plan(0, 20_000, Action::Bye);
                world.plan(1, 50_000, Action::Bye);
            },
            1,
            |_| {},
        );
    }
}
