//! The story that every sandbox starts with, at Monday 2026-11-02 09:00 UTC. All ids and times are
//! fixed, so that a test may name them. Knows nothing of HTTP.
//!
//! | id | person | distinct ids, in storage order | what it is good for |
//! | --- | --- | --- | --- |
//! | 101 | Ada Lovelace, UUID [`ADA`] | an anonymous one, `ada@example.com` | plan free (2026-03-02), trial (05-11), pro (06-10); cohorts 11 and 12; activity |
//! | 102 | Grace Hopper, UUID derived from `grace@example.com` | `grace@example.com`, `katherine@example.com`, `katherine-laptop`, an anonymous one | merged with Katherine Johnson by mistake: the split, and the creator id |
//! | 103 | Lobby Kiosk | 2,000 anonymous ones, then `kiosk-badge-0001` to `kiosk-badge-0500` | caps and the order of distinct ids |
//! | 104 | a hostile name, no e-mail | `mallory` | injected instructions, invisible and bidirectional characters, a very long value, deep JSON |
//! | 105 | nobody we know | an anonymous one | no e-mail, no name, not identified |
//! | 106 | Charles Wheatstone | the UUID of Ada, the UUID of nobody | distinct ids that look like a person UUID |
//! | 107 | Mary Shelley | `101`, `mary-shelley` | a distinct id that looks like Ada's numeric id |
//! | 108 | Evariste Galois | `evariste/galois`, `evariste.galois@example.com`, `..`, `.`, `two words`, `größe-ünïcode-😀`, `a/b c?d`, `100%`, `#1` | ids that are hard to put into a path |
//! | 109 | Luigi Menabrea (deleted 2026-11-01 12:00) | `luigi@example.com` | deleted with events; deletion row pending |
//! | 131 | Luigi again, same UUID, since 2026-11-01 18:00 | `luigi@example.com` | reused after deletion: found by id, in no list until the reset |
//! | 110 | Charles Babbage, UUID derived from `charles@example.com` (deleted 2026-10-20) | `charles@example.com` | tombstone; deletion row completed 2026-10-25 05:00; id unused since |
//! | 111 | Hedy Lamarr | `hedy@example.com` | sign up 10-27, purchase 10-29; pro |
//! | 112 | Alan Turing | `alan@example.com` | sign up 10-28, no purchase; GB |
//! | 113 | Margaret Hamilton | `margaret@example.com` | sign up 10-27, purchase 10-31; pro |
//! | 114 | Radia Perlman | `radia@example.com` | sign up 10-30, no purchase; newest of those in the list |
//! | 115 | Emmy Noether | `emmy@example.com` | numbers, booleans, null, dates, lists, nested objects among the properties |
//! | 121-126 | QA 1 to QA 6, all created in one instant | `qa-1` to `qa-6`, e-mails `qa-1@example.org` ... | bulk deletion; equal `created_at`; test accounts |
//! | none | a ghost, UUID [`GHOST`] | `ghost` | only in the analytics store: the newest row of the list, which makes its page shorter |
//!
//! Cohorts: 11 "Paying customers" (plan is pro: Ada, Hedy, Margaret), 12 "United Kingdom" (Ada,
//! Alan), 13 without a name, static (Grace, the kiosk), 14 "Test accounts" (QA). They are calculated
//! at the start and every 24 hours. Actions: 1 "Signed up", 2 "Purchased". The log also holds six
//! deletions of earlier test persons (201 to 206), made by the system.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use super::dates::{Time, instant};
use super::filters::Filter;
use super::generated;
use super::hostile;
use super::identity::{is_anonymous, person_uuid};
use super::properties::{Properties, PropertyMap};
use super::stores::{Person, Row};
use super::story::happenings;
use super::world::{Capture, Cohort, Effect, World, property_change};

const ADA: Uuid = uuid!("ada0ada0-1815-4852-8000-000000000101");
const NOBODY: Uuid = uuid!("6ba7b810-9dad-41d1-80b4-00c04fd430c8");
const GHOST: Uuid = uuid!("90057000-0000-4000-8000-000000000130");

/// Number, name, and the event that each action stands for.
pub(super) const ACTIONS: [(u64, &str, &str); 2] =
    [(1, "Signed up", "sign up"), (2, "Purchased", "purchase")];

/// Numeric ids of persons made while the sandbox runs.
const FIRST_NEW_ID: u64 = 1001;

/// What the project calls its own: left out of insights on request.
pub(super) fn is_test_account(properties: &Properties) -> bool {
    let email = properties.get("email");
    let email = email.as_deref().and_then(Value::as_str);
    email.is_some_and(|email| email.ends_with("@example.org"))
}

pub(super) fn world(project: u64, generated_persons: usize, now: Time) -> World {
    let mut world = World::empty(project);
    add_generated(&mut world, generated_persons);
    add_persons(&mut world);
    tell(&mut world);
    add_ghost(&mut world);
    add_cohorts(&mut world, now);
    world.number_persons_from(FIRST_NEW_ID);
    world
}

fn add_generated(world: &mut World, count: usize) {
    for number in 1..=u64::try_from(count).unwrap_or_default() {
        let created_at = generated::created_at(number);
        world.add(Person {
            id: generated::FIRST_ID + number,
            uuid: generated::uuid(number),
            created_at,
            last_seen_at: Some(created_at),
            is_identified: true,
            properties: Properties::Generated(number),
            distinct_ids: vec![Arc::from(generated::distinct_id(number))],
            version: 0,
        });
    }
}

fn add_persons(world: &mut World) {
    let ada_anonymous = "0190f1aa-1111-4aaa-8bbb-00000000ada1";
    let ada = [ada_anonymous, "ada@example.com"];
    add(
        world,
        101,
        Some(ADA),
        "2026-03-02T10:00:00Z",
        &ada,
        json!({}),
    );
    let grace = [
        "grace@example.com",
        "katherine@example.com",
        "katherine-laptop",
        "0190f1aa-2222-4aaa-8bbb-0000000009ac",
    ];
    add(world, 102, None, "2026-04-10T08:30:00Z", &grace, json!({}));
    add_kiosk(world);
    add(
        world,
        104,
        None,
        "2026-09-01T12:00:00Z",
        &["mallory"],
        hostile::properties(),
    );
    let anonymous = json!({
        "$browser": "Firefox", "$os": "Linux", "$initial_referring_domain": "$direct",
    });
    let ids = ["0190f1aa-5555-4eee-8fff-00000000000a"];
    add(
        world,
        105,
        None,
        "2026-08-20T07:15:00.250000Z",
        &ids,
        anonymous,
    );
    let (ada, nobody) = (ADA.to_string(), NOBODY.to_string());
    let wheatstone = json!({"name": "Charles Wheatstone", "email": "wheatstone@example.com"});
    let ids = [ada.as_str(), nobody.as_str()];
    add(world, 106, None, "2026-07-01T09:00:00Z", &ids, wheatstone);
    let shelley = json!({"name": "Mary Shelley", "email": "mary.shelley@example.com"});
    add(
        world,
        107,
        None,
        "2026-07-02T09:00:00Z",
        &["101", "mary-shelley"],
        shelley,
    );
    let galois = json!({"name": "Evariste Galois", "username": "evariste"});
    let ids = [
        "evariste/galois",
        "evariste.galois@example.com",
        "..",
        ".",
        "two words",
        "größe-ünïcode-😀",
        "a/b c?d",
        "100%",
        "#1",
    ];
    add(world, 108, None, "2026-07-03T09:00:00Z", &ids, galois);
    add(
        world,
        109,
        None,
        "2026-05-05T05:05:05Z",
        &["luigi@example.com"],
        json!({}),
    );
    add(
        world,
        110,
        None,
        "2026-01-10T10:10:10Z",
        &["charles@example.com"],
        json!({}),
    );
    add(
        world,
        111,
        None,
        "2026-10-27T09:00:00Z",
        &["hedy@example.com"],
        json!({}),
    );
    add(
        world,
        112,
        None,
        "2026-10-28T10:00:00Z",
        &["alan@example.com"],
        json!({}),
    );
    add(
        world,
        113,
        None,
        "2026-10-27T11:00:00Z",
        &["margaret@example.com"],
        json!({}),
    );
    add(
        world,
        114,
        None,
        "2026-10-30T08:00:00Z",
        &["radia@example.com"],
        json!({}),
    );
    let noether = json!({
        "name": "Emmy Noether",
        "email": "emmy@example.com",
        "seats": 3,
        "balance": -12.75,
        "active": true,
        "newsletter": false,
        "referrer": null,
        "renewal_date": "2026-12-24",
        "last_invoice_at": "2026-10-01T06:30:00Z",
        "tags": ["algebra", "physics"],
        "address": {"city": "Erlangen", "geo": {"lat": 49.59, "lon": 11.0}},
        "app_version": "2.10.1",
        "empty": "",
    });
    add(
        world,
        115,
        None,
        "2026-06-15T14:00:00Z",
        &["emmy@example.com"],
        noether,
    );
    for number in 1..=6 {
        let properties = json!({
            "name": format!("QA {number}"),
            "email": format!("qa-{number}@example.org"),
            "test_account": true,
        });
        let distinct_id = format!("qa-{number}");
        let ids = [distinct_id.as_str()];
        add(
            world,
            120 + number,
            None,
            "2026-10-15T08:00:00Z",
            &ids,
            properties,
        );
    }
}

/// The UUID follows from the first distinct id unless one is given.
fn add(
    world: &mut World,
    id: u64,
    uuid: Option<Uuid>,
    created_at: &str,
    distinct_ids: &[&str],
    properties: Value,
) {
    let first = distinct_ids.first().copied().unwrap_or_default();
    let map = match properties {
        Value::Object(map) => map,
        _ => PropertyMap::new(),
    };
    world.add(Person {
        id,
        uuid: uuid.unwrap_or_else(|| person_uuid(world.project, first)),
        created_at: instant(created_at),
        last_seen_at: None,
        is_identified: distinct_ids.iter().any(|id| !is_anonymous(id)),
        properties: Properties::from(map),
        distinct_ids: distinct_ids.iter().copied().map(Arc::from).collect(),
        version: 0,
    });
}

fn add_kiosk(world: &mut World) {
    let visitors = (1..=2000).map(|number| format!("0190f3c0-0000-4000-8000-{number:012x}"));
    let badges = (1..=500).map(|number| format!("kiosk-badge-{number:04}"));
    let ids: Vec<String> = visitors.chain(badges).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let properties = json!({"name": "Lobby Kiosk", "shared_device": true});
    add(world, 103, None, "2026-02-01T06:00:00Z", &ids, properties);
}

/// What happened, in the order in which it did.
fn tell(world: &mut World) {
    for (number, day) in (201..=206).zip(["03", "04", "05", "06", "07", "08"]) {
        let name = format!("old-qa-{number}");
        add(
            world,
            number,
            None,
            "2026-01-02T00:00:00Z",
            &[&name],
            json!({}),
        );
        world.delete(instant(&format!("2026-02-{day}T16:00:00Z")), number);
        if let Some(entry) = world.activity.last_mut() {
            entry.by_system = true;
        }
    }
    for (at, distinct_id, event, properties) in happenings() {
        let at = instant(at);
        let properties = match properties {
            Value::Object(map) => map,
            _ => PropertyMap::new(),
        };
        match event {
            "[updated]" => log(world, at, distinct_id, "updated"),
            "[delete_property]" => log(world, at, distinct_id, "delete_property"),
            "[deleted]" => delete(world, at, distinct_id),
            event => world.capture(at, Capture::read(distinct_id, event, properties)),
        }
    }
}

fn log(world: &mut World, at: Time, distinct_id: &str, activity: &'static str) {
    if let Some(person) = world.primary.by_distinct_id(distinct_id).cloned() {
        world.log(at, activity, &person, Some(property_change()));
    }
}

/// With events: a row that the next weekly batch completes, if that batch lies before the start.
fn delete(world: &mut World, at: Time, distinct_id: &str) {
    let Some(person) = world.primary.by_distinct_id(distinct_id) else {
        return;
    };
    let (id, uuid) = (person.id, person.uuid);
    world.queue_event_deletion(at, uuid);
    world.delete(at, id);
    // Luigi comes back under a number of his own.
    world.number_persons_from(131);
    world.settle(instant("2026-11-01T12:00:00Z").min(at + chrono::Duration::weeks(1)));
}

fn add_ghost(world: &mut World) {
    let created_at = instant("2026-10-30T10:00:00Z");
    let properties = match json!({"name": "Ghost", "email": "ghost@example.com"}) {
        Value::Object(map) => Properties::from(map),
        _ => Properties::empty(),
    };
    world.analytics.write(
        GHOST,
        Row {
            version: 0,
            deleted: false,
            created_at,
            properties,
        },
    );
    world.analytics.map(&Arc::from("ghost"), GHOST, 0);
}

fn add_cohorts(world: &mut World, now: Time) {
    let filter = |filter: Value| {
        let fields = filter.as_object().cloned().unwrap_or_default();
        let read = Filter::read_property(&fields, now);
        Some(vec![read.unwrap_or(Filter::Everything)])
    };
    let dynamic = |id: u64, name: &str, definition: Value| Cohort {
        id,
        name: Some(name.to_owned()),
        definition: filter(definition),
        members: Arc::default(),
        count: None,
    };
    let ids = ["grace@example.com", "kiosk-badge-0001"];
    let listed = ids.iter().filter_map(|id| world.primary.by_distinct_id(id));
    let listed: HashSet<Uuid> = listed.map(|person| person.uuid).collect();
    let country = json!({"key": "$geoip_country_code", "value": "GB"});
    let test_account = json!({"key": "email", "operator": "icontains", "value": "@example.org"});
    world.cohorts = vec![
        dynamic(
            11,
            "Paying customers",
            json!({"key": "plan", "value": "pro"}),
        ),
        dynamic(12, "United Kingdom", country),
        Cohort {
            id: 13,
            name: None,
            definition: None,
            count: Some(listed.len()),
            members: Arc::new(listed),
        },
        dynamic(14, "Test accounts", test_account),
    ];
    world.calculate_cohorts();
    world.schedule(now + chrono::Duration::days(1), Effect::CalculateCohorts);
}
