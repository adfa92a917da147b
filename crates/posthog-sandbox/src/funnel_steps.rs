//! How far one person came in a funnel. Looks at events only; knows nothing of requests or pages.

use super::dates::Time;
use super::entities::Entity;
use super::world::Event;

#[derive(Clone, Copy)]
pub(super) enum Order {
    Ordered,
    Strict,
    Unordered,
}

pub(super) struct Funnel {
    pub(super) steps: Vec<Entity>,
    pub(super) window: chrono::Duration,
    pub(super) order: Order,
}

/// One way through the funnel: where it began, and how many steps were done.
pub(super) struct Progress<'a> {
    pub(super) entry: &'a Event,
    steps: usize,
}

/// Which persons the caller asks for.
pub(super) enum Outcome {
    /// Reached this step, or, below zero, dropped just before it.
    Step(i64),
    /// Came exactly this far, for any of these.
    AnyOf(Vec<i64>),
    /// Entered in this period, and finished or did not.
    Entered {
        start: Time,
        end: Time,
        drop_off: bool,
    },
}

impl Outcome {
    pub(super) fn accepts(
        &self,
        funnel: &Funnel,
        events: &[&Event],
        counts: impl Fn(&Progress<'_>) -> bool,
    ) -> bool {
        let ways = funnel.ways(events);
        let ways = ways.into_iter().filter(|way| counts(way));
        match self {
            Self::Entered {
                start,
                end,
                drop_off,
            } => {
                let entered = ways.filter(|way| *start <= way.entry.at && way.entry.at < *end);
                let furthest = entered.map(|way| way.steps).max();
                furthest.is_some_and(|steps| (steps < funnel.steps.len()) == *drop_off)
            }
            Self::Step(step) => {
                let furthest = ways.map(|way| way.steps).max().unwrap_or(0);
                let step_number = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
                if *step > 0 {
                    furthest >= step_number
                } else {
                    furthest > 0 && furthest + 1 == step_number
                }
            }
            Self::AnyOf(steps) => {
                let furthest = ways.map(|way| way.steps).max().unwrap_or(0);
                let furthest = i64::try_from(furthest).unwrap_or(i64::MAX);
                furthest > 0 && steps.contains(&furthest)
            }
        }
    }
}

impl Funnel {
    /// Every way that begins at an event which may begin one.
    fn ways<'a>(&self, events: &[&'a Event]) -> Vec<Progress<'a>> {
        let mut ways = Vec::new();
        for (index, entry) in events.iter().enumerate() {
            let later = events.get(index + 1..).unwrap_or_default();
            let in_time = later
                .iter()
                .take_while(|event| event.at <= entry.at + self.window);
            let later: Vec<&Event> = in_time.copied().collect();
            let steps = match self.order {
                Order::Ordered => self.in_order(entry, &later, false),
                Order::Strict => self.in_order(entry, &later, true),
                Order::Unordered => self.in_any_order(entry, &later),
            };
            if steps > 0 {
                ways.push(Progress { entry, steps });
            }
        }
        ways
    }

    fn in_order(&self, entry: &Event, later: &[&Event], strict: bool) -> usize {
        let mut steps = self.steps.iter();
        if !steps.next().is_some_and(|first| first.matches(entry)) {
            return 0;
        }
        let mut done = 1;
        let mut wanted = steps.next();
        for event in later {
            let Some(step) = wanted else {
                break;
            };
            if step.matches(event) {
                done += 1;
                wanted = steps.next();
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
