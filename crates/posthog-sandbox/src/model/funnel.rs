//! How many steps of a funnel the events of one person complete (Persons API, Funnel).

use super::dates::Time;
use super::entity::Entity;
use super::event::Event;

#[derive(Clone, Copy)]
pub(crate) enum StepOrder {
    Ordered,
    Strict,
    Unordered,
}

pub(crate) struct Funnel {
    pub(crate) steps: Vec<Entity>,
    pub(crate) window: chrono::Duration,
    pub(crate) order: StepOrder,
}

/// One pass through the funnel: the event of entry, and how many steps were completed.
pub(crate) struct Attempt<'a> {
    pub(crate) entry: &'a Event,
    steps: usize,
}

/// Which persons a funnel returns.
pub(crate) enum FunnelSelection {
    /// Reached this step, or, if negative, dropped off right before it.
    Step(i64),
    /// Completed exactly one of these numbers of steps.
    AnyOf(Vec<i64>),
    /// Entered in this period, and dropped off or converted.
    Entered {
        start: Time,
        end: Time,
        drop_off: bool,
    },
}

impl FunnelSelection {
    pub(crate) fn accepts(
        &self,
        funnel: &Funnel,
        events: &[&Event],
        counts: impl Fn(&Attempt<'_>) -> bool,
    ) -> bool {
        let attempts = funnel.attempts(events);
        let attempts = attempts.into_iter().filter(|attempt| counts(attempt));
        match self {
            Self::Entered {
                start,
                end,
                drop_off,
            } => {
                let entered = attempts
                    .filter(|attempt| *start <= attempt.entry.at && attempt.entry.at < *end);
                let furthest = entered.map(|attempt| attempt.steps).max();
                furthest.is_some_and(|steps| (steps < funnel.steps.len()) == *drop_off)
            }
            Self::Step(step) => {
                let furthest = attempts.map(|attempt| attempt.steps).max().unwrap_or(0);
                let step_number = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
                if *step >= 0 {
                    furthest >= step_number.max(1)
                } else {
                    furthest > 0 && furthest + 1 == step_number
                }
            }
            Self::AnyOf(steps) => {
                let furthest = attempts.map(|attempt| attempt.steps).max().unwrap_or(0);
                let furthest = i64::try_from(furthest).unwrap_or(i64::MAX);
                furthest > 0 && steps.contains(&furthest)
            }
        }
    }
}

impl Funnel {
    /// One attempt for each event that can be an entry.
    fn attempts<'a>(&self, events: &[&'a Event]) -> Vec<Attempt<'a>> {
        let mut attempts = Vec::new();
        for (index, entry) in events.iter().enumerate() {
            let later = events.get(index + 1..).unwrap_or_default();
            let in_time = later
                .iter()
                .take_while(|event| event.at <= entry.at + self.window);
            let later: Vec<&Event> = in_time.copied().collect();
            let steps = match self.order {
                StepOrder::Ordered => self.in_order(entry, &later, false),
                StepOrder::Strict => self.in_order(entry, &later, true),
                StepOrder::Unordered => self.in_any_order(entry, &later),
            };
            if steps > 0 {
                attempts.push(Attempt { entry, steps });
            }
        }
        attempts
    }

    fn in_order(&self, entry: &Event, later: &[&Event], strict: bool) -> usize {
        let mut steps = self.steps.iter();
        if !steps.next().is_some_and(|first| first.matches(entry)) {
            return 0;
        }
        let mut done = 1;
        let mut expected = steps.next();
        for event in later {
            let Some(step) = expected else {
                break;
            };
            if step.matches(event) {
                done += 1;
                expected = steps.next();
            } else if strict {
                break;
            }
        }
        done
    }

    fn in_any_order(&self, entry: &Event, later: &[&Event]) -> usize {
        if !self.steps.iter().any(|step| step.matches(entry)) {
            return 0;
        }
        let done = self
            .steps
            .iter()
            .filter(|step| step.matches(entry) || later.iter().any(|event| step.matches(event)));
        done.count()
    }
}
