//! The stories cases have, told fact by fact.

use crate::attempts::attempt;
use crate::generate::Random;
use crate::{Amount, Attempt, Contract, DAY, Door, HOUR, Kind, MINUTE, Resolution, Rule, Status};
use Kind::{Acknowledged, Assumed, Confirmed, Escalated, Message, Rated, Reopened};
use Status::{Answered, HandedOff, Replied};
use rand::RngExt;
use rand::seq::IndexedRandom;
use std::ops::Range;

/// One case, told up to `clock`.
pub(crate) struct Story<'a> {
    pub attempts: Vec<Attempt>,
    pub resolutions: Vec<Resolution>,
    random: &'a mut Random,
    customer: &'a str,
    rule: &'a Rule,
    /// The contract's.
    currency: &'a str,
    number: u32,
    /// What the case is about; at times another agent steps in.
    action: &'a str,
    other_action: &'a str,
    clock: i64,
}

impl<'a> Story<'a> {
    /// Tells the customer's case of this number from its beginning.
    pub(crate) fn tell(random: &'a mut Random, contract: &'a Contract, number: u32, starts_at: i64) -> Self {
        let mut action = || contract.prices.choose(random).expect("some").action.as_str();
        let (action, other_action) = (action(), action());
        let mut story = Self {
            attempts: Vec::new(),
            resolutions: Vec::new(),
            customer: &contract.customer,
            rule: &contract.rule,
            currency: &contract.currency,
            number,
            action,
            other_action,
            clock: starts_at,
            random,
        };
        story.go_on();
        story
    }

    fn go_on(&mut self) {
        let horizon = self.rule.reversal_horizon;
        match self.random.random_range(0..100) {
            0..18 => self.confirmed(4),
            18..20 => {
                // Greeted only, at times until the customer gives up.
                self.attempt(Replied);
                self.chat();
            }
            20..22 => {
                self.tries(2);
                self.wait(0..2 * self.rule.silence_window);
                self.rate();
                self.tries(1);
            }
            22..33 => self.tries(4),
            33..37 => {
                self.tries(2);
                self.chat();
                self.tries(1);
            }
            37..45 => {
                // The platform's word comes early or late, and mostly to those who do not wait for it.
                self.tries(4);
                self.wait(HOUR..5 * DAY);
                self.resolve(Assumed);
            }
            45..50 => {
                self.tries(4);
                self.wait(MINUTE..10 * HOUR);
                self.resolve(Escalated);
            }
            50..55 => {
                self.tries(3);
                self.wait(MINUTE..HOUR);
                self.attempt(HandedOff);
            }
            55..59 => {
                self.tries(3);
                self.wait(MINUTE..10 * HOUR);
                self.resolve(Kind::Failed);
            }
            59..64 => {
                // Taken back after it settled, or too late for that.
                self.confirmed(3);
                self.clock += self.rule.confirmed_settles_after;
                self.wait(0..2 * horizon + DAY);
                self.take_back();
            }
            64..68 => {
                self.confirmed(3);
                self.wait(0..self.rule.confirmed_settles_after + HOUR);
                self.resolve(Reopened);
                self.again();
            }
            68..73 => {
                self.tries(3);
                self.clock += self.rule.silence_window;
                self.wait(0..2 * horizon + DAY);
                self.resolve(Reopened);
                self.again();
            }
            73..80 => self.fail(5),
            80..83 => {
                self.tries(3);
                self.wait(MINUTE..HOUR);
                self.fail(2);
            }
            83..85 => {
                self.resolve(Confirmed);
                self.wait(MINUTE..HOUR);
                self.tries(2);
                if self.random.random_ratio(1, 2) {
                    self.wait(MINUTE..HOUR);
                    self.resolve(Confirmed);
                }
            }
            85..87 => {
                self.any_attempt();
                self.any_attempt();
                if self.random.random_ratio(1, 2) {
                    self.wait(0..DAY);
                    self.resolve(Confirmed);
                }
            }
            87..88 => {
                let kinds =
                    [Confirmed, Assumed, Escalated, Reopened, Kind::Failed, Message, Acknowledged, Rated];
                let kind = *kinds.choose(self.random).expect("some");
                self.resolve(kind);
            }
            88..91 => {
                self.tries(2);
                self.wait(7 * DAY..30 * DAY);
                self.tries(2);
            }
            _ => self.on_the_edge(),
        }
    }

    /// Facts at the very microsecond of a bound, and one beside it.
    fn on_the_edge(&mut self) {
        let off = self.random.random_range(-1..=1);
        match self.random.random_range(0..8) {
            0 => {
                self.attempt(Answered);
                self.resolve(Confirmed);
                self.clock += self.rule.confirmed_settles_after + off;
                self.take_back();
            }
            1 => {
                self.attempt(Answered);
                self.resolve(Confirmed);
                self.clock += self.rule.confirmed_settles_after + self.rule.reversal_horizon + off;
                self.take_back();
            }
            2 => {
                self.attempt(Answered);
                self.clock += self.rule.silence_window + off;
                self.any_attempt();
            }
            3 => {
                self.attempt(Answered);
                self.clock += self.rule.silence_window + off;
                self.resolve(Confirmed);
            }
            4 => {
                self.attempt(Answered);
                self.resolve(Assumed);
                self.clock += self.rule.silence_window + off;
                self.take_back();
                self.any_attempt();
            }
            5 => {
                self.attempt(Answered);
                self.clock += self.rule.silence_window + off;
                self.chat();
            }
            6 => {
                // Bad feedback on what is waiting to settle, and another try.
                self.attempt(Answered);
                self.resolve(Confirmed);
                self.clock += self.rule.confirmed_settles_after + off;
                self.rate();
                self.attempt(Answered);
            }
            _ => {
                // At one time; the order is that of the ids, and differs by the door.
                self.attempt(Answered);
                self.wait(MINUTE..HOUR);
                self.resolve(Confirmed);
                self.resolve(Reopened);
                self.attempt(Answered);
            }
        }
    }

    /// Up to so many attempts, the last of them an answer.
    fn tries(&mut self, most: u32) {
        for _ in 1..self.random.random_range(1..=most) {
            let status = match self.random.random_range(0..8) {
                0 => Replied,
                1..3 => Answered,
                _ => Status::Failed,
            };
            self.attempt(status);
            self.wait(MINUTE..2 * HOUR);
            if self.random.random_ratio(1, 10) {
                self.chat();
            }
        }
        self.attempt(Answered);
        if self.random.random_ratio(1, 10) {
            self.chat();
        }
    }

    fn confirmed(&mut self, most: u32) {
        self.tries(most);
        self.wait(MINUTE..20 * HOUR);
        self.resolve(Confirmed);
    }

    /// Up to so many attempts, all of them failed.
    fn fail(&mut self, most: u32) {
        for _ in 0..self.random.random_range(1..=most) {
            self.attempt(Status::Failed);
            self.wait(MINUTE..2 * HOUR);
        }
    }

    /// After a re-open: won, waiting to be, or never answered.
    fn again(&mut self) {
        self.wait(MINUTE..HOUR);
        match self.random.random_range(0..3) {
            0 => self.confirmed(2),
            1 => self.tries(2),
            _ => self.fail(1),
        }
    }

    /// The customer writes: something more, or mere thanks.
    fn chat(&mut self) {
        let kind = if self.random.random_ratio(1, 2) { Message } else { Acknowledged };
        self.wait(0..HOUR);
        self.resolve(kind);
        self.wait(0..HOUR);
    }

    /// The customer gives a score, or says that it is not solved.
    fn rate(&mut self) {
        let kind = if self.random.random_ratio(3, 4) { Rated } else { Kind::Failed };
        self.resolve(kind);
    }

    fn take_back(&mut self) {
        match self.random.random_range(0..5) {
            0 => self.resolve(Escalated),
            3 => self.rate(),
            1 => self.resolve(Kind::Failed),
            2 => self.resolve(Reopened),
            _ => self.attempt(HandedOff),
        }
    }

    fn any_attempt(&mut self) {
        let status = *[Answered, Replied, Status::Failed, HandedOff].choose(self.random).expect("some");
        self.attempt(status);
    }

    fn wait(&mut self, time: Range<i64>) {
        self.clock += self.random.random_range(time);
    }

    fn attempt(&mut self, status: Status) {
        let action = if self.random.random_ratio(1, 8) { self.other_action } else { self.action };
        let case = self.case();
        let attempt = attempt(self.random, self.customer, &case, action, status, self.clock);
        let value = self.value(3);
        self.attempts.push(Attempt { value, ..attempt });
    }

    /// What the outcome is worth: told once in so many times, now and then in a currency that nobody is billed in.
    fn value(&mut self, one_in: u32) -> Option<Amount> {
        if !self.random.random_ratio(1, one_in) {
            return None;
        }
        let (units, decimals) =
            (self.random.random_range(0..600), self.random.random_range(0..100_000_000_000u64));
        let currency = if self.random.random_ratio(1, 12) { "CHF" } else { self.currency };
        Some(Amount { amount: format!("{units}.{decimals:011}"), currency: currency.to_owned() })
    }

    fn resolve(&mut self, kind: Kind) {
        let door = if self.random.random_ratio(3, 5) { Door::Webhook } else { Door::Api };
        let reason = self.random.random_ratio(1, 4).then(|| "as the customer said".to_owned());
        // Each door counts for itself: the same id through the other door is another fact.
        let count = self.resolutions.iter().filter(|resolution| resolution.door == door).count();
        // A platform's delivery ids are its own, whatever customer they are about; an API caller's are per customer.
        let id = match door {
            Door::Api => format!("res-{:06}-{count}", self.number),
            _ => format!("msg-{}-{:06}-{count}", self.customer, self.number),
        };
        let value = if matches!(kind, Confirmed | Assumed) { self.value(2) } else { None };
        self.resolutions.push(Resolution {
            value,
            id,
            customer: self.customer.to_owned(),
            case: self.case(),
            kind,
            occurred_at: self.clock,
            reason,
            score: (kind == Rated).then(|| self.random.random_range(1..=5)),
            about: None,
            strength: door.strength(),
            door,
        });
    }

    fn case(&self) -> String {
        format!("case-{:06}", self.number)
    }
}
