//! Many connections at once, by `wasi:tls`.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use wit_bindgen::StreamResult;

use crate::standard::{Connected, SetUp, told};

/// So many connections to one server that echoes, open at the same time: each says its number and hears it.
pub(crate) async fn at_once(count: usize, port: u16) -> Result<()> {
    let dial = async |_| SetUp::new(port).await?.connect().await;
    let connected: Vec<Connected> = try_join_all((0..count).map(dial)).await?;
    println!("open: {}", connected.len());
    let talk = async |(number, mut connected): (usize, Connected)| {
        let words = format!("{number:08}").into_bytes();
        ensure!(connected.cleartext.write_all(words.clone()).await.is_empty(), "{number} was not taken");
        let mut echo = Vec::new();
        while echo.len() < words.len() {
            let (result, bytes) = connected.answer.read(Vec::with_capacity(64)).await;
            ensure!(matches!(result, StreamResult::Complete(_)), "{number} has ended after {echo:?}");
            echo.extend(bytes);
        }
        ensure!(echo == words, "{number} heard {echo:?}");
        Ok(connected)
    };
    let connected = try_join_all(connected.into_iter().enumerate().map(talk)).await?;
    println!("echoed: {}", connected.len());
    let end = async |connected: Connected| {
        drop(connected.cleartext);
        connected.sent.await.map_err(told)?;
        ensure!(connected.answer.collect().await.is_empty(), "more than the echo came");
        connected.received.await.map_err(told)
    };
    let ended = try_join_all(connected.into_iter().map(end)).await?;
    println!("ended: {}", ended.len());
    Ok(())
}
