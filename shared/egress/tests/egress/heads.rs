//! Tests that the status line decides, whatever else the head of a response contains.

use crate::{client, client_of, guard, post, within};
use kit::{
    raw::{Receiver, Turn},
    tls::Authority,
};

fn headers(count: usize, line: &str) -> String {
    (0..count)
        .map(|number| format!("{line}{number}\r\n"))
        .collect()
}

#[tokio::test]
async fn oddities_of_a_head_do_not_overrule_its_status_line() {
    let heads = [
        format!("HTTP/1.1 200 OK\r\n{}", headers(101, "x: ")),
        format!("HTTP/1.1 200 OK\r\n{}", headers(1_000, "x: ")),
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n", "v".repeat(100_000)),
        "HTTP/1.1 200 OK\r\nServer : x\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nserver\t: x\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\na line without a colon\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nx: one\r\n two\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nx y: z\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nx: a\u{1}b\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\n: nameless\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nname\u{e9}: \u{e9}\r\n".to_owned(),
        "HTTP/1.1 200\r\n".to_owned(),
        "HTTP/1.1 200 \r\n".to_owned(),
        "HTTP/1.1 200 \u{e9}\r\n".to_owned(),
        "HTTP/1.0 200 OK\r\n".to_owned(),
        "\r\nHTTP/1.1 200 OK\r\n".to_owned(),
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n".to_owned(),
    ];
    for head in heads {
        let answer = format!("{head}content-length: 0\r\n\r\n");
        let receiver =
            Receiver::start(move |_, _| Turn::AnswerAndClose(answer.clone().into_bytes())).await;
        let answer = client().send(post(&receiver.url())).await;
        let head = &head[..head.len().min(60)];
        assert_eq!(
            answer
                .unwrap_or_else(|failure| panic!("{failure} after {head:?}"))
                .status,
            200,
            "{head:?}"
        );
    }
    let answer = "HTTP/1.1 200 OK\ncontent-length: 0\n\n";
    let receiver = Receiver::start(move |_, _| Turn::text(answer)).await;
    assert_eq!(
        client().send(post(&receiver.url())).await.unwrap().status,
        200,
        "bare line feeds"
    );
}

#[tokio::test]
async fn a_wait_is_found_behind_many_cookies() {
    let answer = format!(
        "HTTP/1.1 429 Slow\r\n{}retry-after: 7\r\ncontent-length: 0\r\n\r\n",
        headers(120, "set-cookie: c=")
    );
    let receiver = Receiver::start(move |_, _| Turn::text(&answer)).await;
    let response = client().send(post(&receiver.url())).await.unwrap();
    assert_eq!(
        (
            response.status.as_u16(),
            response.headers["retry-after"].as_bytes()
        ),
        (429, &b"7"[..])
    );
}

#[tokio::test]
async fn http_2_answers_may_have_large_heads_too() {
    let authority = Authority::new();
    for count in [170, 1_000, 3_000] {
        let script = move |_, _| Turn::ok_http_2_with_headers(count);
        let receiver =
            Receiver::start_http_2(authority.server(&["127.0.0.1"], &["h2"]), script).await;
        let mut request = post(&receiver.url());
        request.deadline = within(5_000);
        let response = client_of(guard(), authority.roots()).send(request).await;
        assert_eq!(
            response
                .unwrap_or_else(|failure| panic!("{failure} after {count} headers"))
                .headers
                .len(),
            count
        );
    }
}
