//! Reading a part of a file in the guest: how a log is followed.

use anyhow::Context;

use super::control::Control;
use super::protocol::Kind;

impl Control {
    /// At most `most` bytes of a file from `offset` on; fewer only at its end.
    ///
    /// # Errors
    /// When it cannot be read, or `most` is more than 1 MiB.
    pub async fn get_part(&self, path: &str, offset: u64, most: usize) -> anyhow::Result<Vec<u8>> {
        let fields = [path.to_owned(), offset.to_string(), most.to_string()]
            .map(String::into_bytes)
            .to_vec();
        let mut reply = self.short(Kind::Get, fields).await?;
        let part = reply
            .fields
            .get_mut(1)
            .context("failed to understand a file from the guest")?;
        anyhow::ensure!(
            part.len() <= most,
            "failed to read a part of a file in the guest: it sent more than was asked for"
        );
        Ok(std::mem::take(part))
    }
}
