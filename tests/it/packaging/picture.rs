//! The picture of a session is what the server says today.

#[path = "../../../examples/session_picture.rs"]
#[expect(dead_code, reason = "the example's own way in")]
mod session_picture;

#[tokio::test]
async fn the_picture_shows_what_happens() {
    let picture = session_picture::draw().await.unwrap();
    assert!(
        picture == include_str!("../../../docs/session.svg"),
        "look at the new picture, then: cargo run --example session_picture > docs/session.svg"
    );
}
