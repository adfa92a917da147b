//! The workflow of a release publishes nothing before every build and every test has passed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

fn jobs() -> BTreeMap<String, Value> {
    let workflow = include_str!("../../../.github/workflows/release.yml");
    let mut workflow: Value = serde_saphyr::from_str(workflow).unwrap();
    serde_json::from_value(workflow["jobs"].take()).unwrap()
}

/// The jobs that a job waits for, directly or not.
fn needs(jobs: &BTreeMap<String, Value>, name: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        let direct = match &jobs[&name]["needs"] {
            Value::Array(names) => names.clone(),
            Value::Null => Vec::new(),
            name => vec![name.clone()],
        };
        for name in direct {
            let name = name.as_str().unwrap().to_owned();
            if all.insert(name.clone()) {
                open.push(name);
            }
        }
    }
    all
}

/// A job can publish if its token, or a secret that it reads, lets it write.
fn publishes(job: &Value) -> bool {
    let permissions = job["permissions"].as_object();
    let writes = permissions.is_some_and(|all| all.values().any(|access| access == "write"));
    writes || job.to_string().contains("secrets.")
}

#[test]
fn nothing_is_published_before_everything_has_passed() {
    let jobs = jobs();
    let (publishing, checking): (Vec<_>, Vec<_>) = jobs.iter().partition(|(_, job)| publishes(job));
    assert!(publishing.len() > 3, "{publishing:?}");
    assert!(checking.len() > 5, "{checking:?}");
    for (name, _) in publishing {
        let needed = needs(&jobs, name);
        for (check, _) in &checking {
            assert!(needed.contains(*check), "{name} does not wait for {check}");
        }
        // Images are pushed without a name that anybody pulls; everything else waits for them.
        if name != "image" {
            assert!(needed.contains("image"), "{name} does not wait for image");
        }
    }
}

#[test]
fn images_get_their_tags_when_the_release_exists() {
    let jobs = jobs();
    let image = jobs["image"].to_string();
    assert!(image.contains("push-by-digest=true"));
    for (name, job) in &jobs {
        let job = job.to_string();
        if job.contains("--tag") || job.contains(r#""tags":"#) {
            assert!(
                needs(&jobs, name).contains("release"),
                "{name} tags an image too early"
            );
        }
    }
}
