//! The usage of each organization, as far as one instance of a function knows it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use domain::id::OrganizationId;
use domain::quota::{Bucket, Quotas, Rate};
use store::Usage;

use super::Limited;

/// The number of requests and messages that are counted before they are shared. A message that is
/// submitted by the API counts as both, so it costs a sixteenth of a write unit.
pub(super) const SHARED_EVERY: u64 = 32;
/// How long an organization's quotas are used before they are read again.
const QUOTAS_CACHED_FOR: Duration = Duration::from_secs(10);
/// The maximum number of organizations that are known at a time. Those that were idle longest are
/// forgotten first.
const ORGANIZATIONS_MAX: usize = 10_000;

/// Counts usage in memory. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Mutex<HashMap<OrganizationId, OrganizationUsage>>>);

/// The outcome of counting some usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpendOutcome {
    /// The usage was counted.
    Done,
    /// The usage was counted, and this total is to be shared now.
    Share(Usage),
    /// The usage exceeds the quota and was not counted. There is room for it after this time.
    Over(Duration),
}

/// What is known of one organization.
#[derive(Debug)]
struct OrganizationUsage {
    quotas: Quotas,
    quotas_until: Timestamp,
    used_at: Timestamp,
    requests: Bucket,
    deliveries: Bucket,
    /// The usage that was counted here and has not been shared.
    unshared: Usage,
    /// The number of requests and messages that `unshared` consists of.
    unshared_events: u64,
    /// Whether usage is being shared.
    sharing: bool,
    /// The usage of all instances when this one last shared its own, and when that was.
    last: Option<(Usage, Timestamp)>,
    over_until: BTreeMap<Limited, Timestamp>,
}

impl Meter {
    /// Returns an organization's quotas, while they are known.
    pub(super) fn quotas(&self, organization: OrganizationId, now: Timestamp) -> Option<Quotas> {
        self.lock()
            .get(&organization)
            .filter(|known| now < known.quotas_until)
            .map(|known| known.quotas)
    }

    /// Remembers an organization's quotas for [`QUOTAS_CACHED_FOR`].
    pub(super) fn set_quotas(&self, organization: OrganizationId, quotas: Quotas, now: Timestamp) {
        let mut all = self.lock();
        if all.len() >= ORGANIZATIONS_MAX && !all.contains_key(&organization) {
            forget_idle(&mut all);
        }
        let known = all
            .entry(organization)
            .or_insert_with(|| OrganizationUsage::new(quotas, now));
        known.quotas = quotas;
        known.quotas_until = now.plus(QUOTAS_CACHED_FOR);
    }

    /// Forgets an organization's quotas, because they were changed.
    pub(crate) fn forget_quotas(&self, organization: OrganizationId) {
        if let Some(known) = self.lock().get_mut(&organization) {
            known.quotas_until = Timestamp::from_millis(0);
            known.over_until.clear();
        }
    }

    /// Counts a request of an organization.
    pub(super) fn spend_request(
        &self,
        organization: OrganizationId,
        quotas: &Quotas,
        now: Timestamp,
    ) -> SpendOutcome {
        let mut all = self.lock();
        let known = all
            .entry(organization)
            .or_insert_with(|| OrganizationUsage::new(*quotas, now));
        let taken = known.requests.take(quotas.requests(), 1, now);
        known.spend(
            taken,
            Usage {
                requests: 1,
                deliveries: 0,
            },
            1,
            now,
        )
    }

    /// Counts the deliveries of some messages, all or none.
    pub(super) fn spend_deliveries(
        &self,
        organization: OrganizationId,
        quotas: &Quotas,
        messages: u64,
        deliveries: u64,
        now: Timestamp,
    ) -> SpendOutcome {
        let mut all = self.lock();
        let known = all
            .entry(organization)
            .or_insert_with(|| OrganizationUsage::new(*quotas, now));
        let taken = known.deliveries.take(quotas.deliveries(), deliveries, now);
        known.spend(
            taken,
            Usage {
                requests: 0,
                deliveries,
            },
            messages,
            now,
        )
    }

    /// Records that `own` was shared, and that all instances together have used `all`.
    pub(super) fn shared(
        &self,
        organization: OrganizationId,
        own: Usage,
        all: Usage,
        now: Timestamp,
    ) {
        if let Some(known) = self.lock().get_mut(&organization) {
            known.sharing = false;
            known.charge_others(own, all, now);
        }
    }

    /// Records that `own` could not be shared. It is shared with the next usage.
    pub(super) fn not_shared(&self, organization: OrganizationId, own: Usage) {
        if let Some(known) = self.lock().get_mut(&organization) {
            known.sharing = false;
            known.unshared.requests += own.requests;
            known.unshared.deliveries += own.deliveries;
        }
    }

    /// Returns until when a limit is known to be reached.
    pub(super) fn over_until(
        &self,
        organization: OrganizationId,
        what: Limited,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.lock()
            .get(&organization)?
            .over_until
            .get(&what)
            .copied()
            .filter(|until| now < *until)
    }

    /// Remembers until when a limit is reached.
    pub(super) fn note_over(&self, organization: OrganizationId, what: Limited, until: Timestamp) {
        if let Some(known) = self.lock().get_mut(&organization) {
            known.over_until.insert(what, until);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OrganizationId, OrganizationUsage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OrganizationUsage {
    fn new(quotas: Quotas, now: Timestamp) -> Self {
        Self {
            quotas,
            quotas_until: now,
            used_at: now,
            requests: Bucket::default(),
            deliveries: Bucket::default(),
            unshared: Usage::default(),
            unshared_events: 0,
            sharing: false,
            last: None,
            over_until: BTreeMap::new(),
        }
    }

    fn spend(
        &mut self,
        taken: Result<(), Duration>,
        usage: Usage,
        events: u64,
        now: Timestamp,
    ) -> SpendOutcome {
        self.used_at = now;
        if let Err(wait) = taken {
            return SpendOutcome::Over(wait);
        }
        self.unshared.requests += usage.requests;
        self.unshared.deliveries += usage.deliveries;
        self.unshared_events += events;
        if self.sharing || self.unshared_events < SHARED_EVERY {
            return SpendOutcome::Done;
        }
        self.sharing = true;
        self.unshared_events = 0;
        SpendOutcome::Share(std::mem::take(&mut self.unshared))
    }

    fn charge_others(&mut self, own: Usage, all: Usage, now: Timestamp) {
        if let Some((before, since)) = self.last {
            let others =
                |all: u64, before: u64, own: u64| all.saturating_sub(before).saturating_sub(own);
            let charge = |bucket: &mut Bucket, rate: Rate, tokens: u64| {
                bucket.charge(rate, tokens, since, now)
            };
            charge(
                &mut self.requests,
                self.quotas.requests(),
                others(all.requests, before.requests, own.requests),
            );
            charge(
                &mut self.deliveries,
                self.quotas.deliveries(),
                others(all.deliveries, before.deliveries, own.deliveries),
            );
        }
        self.last = Some((all, now));
    }
}

/// Forgets the half of the organizations that were idle longest.
fn forget_idle(all: &mut HashMap<OrganizationId, OrganizationUsage>) {
    let mut used: Vec<Timestamp> = all.values().map(|known| known.used_at).collect();
    let middle = used.len() / 2;
    let (_, median, _) = used.select_nth_unstable(middle);
    let median = *median;
    all.retain(|_, known| known.used_at > median);
}

#[cfg(test)]
mod tests {
    use domain::id::Ulid;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_764_000_000_000 + millis)
    }

    fn organization(n: i64) -> OrganizationId {
        Ulid::first_at(at(n)).into()
    }

    /// Instances of a function that all serve one organization, and the counter that they share.
    struct Fleet {
        meters: Vec<Meter>,
        all: Usage,
        writes: u64,
    }

    impl Fleet {
        fn request(&mut self, instance: usize, quotas: &Quotas, now: Timestamp) -> bool {
            let meter = &self.meters[instance];
            match meter.spend_request(organization(1), quotas, now) {
                SpendOutcome::Done => true,
                SpendOutcome::Over(_) => false,
                SpendOutcome::Share(own) => {
                    self.writes += 1;
                    self.all.requests += own.requests;
                    meter.shared(organization(1), own, self.all, now);
                    true
                }
            }
        }
    }

    #[test]
    fn several_instances_together_come_down_to_the_quota() {
        let quotas = Quotas {
            requests_per_second: 100,
            ..Quotas::default()
        };
        let mut fleet = Fleet {
            meters: (0..4).map(|_| Meter::default()).collect(),
            all: Usage::default(),
            writes: 0,
        };
        let mut accepted = Vec::new();
        for second in 0..60 {
            let mut taken = 0;
            for step in 0..1000_i64 {
                let instance = usize::try_from(step % 4).unwrap();
                taken += u32::from(fleet.request(instance, &quotas, at(second * 1000 + step)));
            }
            accepted.push(taken);
        }
        let late: u32 = accepted[30..].iter().sum();
        assert!(
            (2_400..=3_600).contains(&late),
            "{late} in 30 s, where 3,000 are allowed: {accepted:?}"
        );
    }

    #[test]
    fn one_write_shares_many_requests_and_refusals_cost_none() {
        let quotas = Quotas {
            requests_per_second: 100,
            ..Quotas::default()
        };
        let mut fleet = Fleet {
            meters: vec![Meter::default()],
            all: Usage::default(),
            writes: 0,
        };
        let accepted = (0..10_000)
            .filter(|_| fleet.request(0, &quotas, at(0)))
            .count();
        assert_eq!((accepted, fleet.writes), (400, 400 / SHARED_EVERY));
    }

    #[test]
    fn the_number_of_known_organizations_is_limited() {
        let meter = Meter::default();
        for n in 0..i64::try_from(ORGANIZATIONS_MAX).unwrap() + 10 {
            meter.set_quotas(organization(n), Quotas::default(), at(n));
        }
        let known = meter.lock().len();
        assert!(known <= ORGANIZATIONS_MAX, "{known}");
        assert!(meter.quotas(organization(0), at(0)).is_none());
    }

    #[test]
    fn quotas_are_asked_for_again_after_a_while_and_when_they_change() {
        let meter = Meter::default();
        meter.set_quotas(organization(1), Quotas::default(), at(0));
        assert!(meter.quotas(organization(1), at(9_999)).is_some());
        assert!(meter.quotas(organization(1), at(10_000)).is_none());
        meter.set_quotas(organization(1), Quotas::default(), at(0));
        meter.forget_quotas(organization(1));
        assert!(meter.quotas(organization(1), at(1)).is_none());
    }
}
