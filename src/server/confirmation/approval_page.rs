//! The confirmation of clients that cannot ask: the user answers on the approval page, and a second call waits for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::confirmer::{
    ConfirmationMethod, ConfirmationRequest, Confirmer, Decision, Grant, invalid, reject,
};
use super::seal::{SealKind, TokenError};
use crate::approval::{Answer, Approvals};
use crate::tools::Outcome;

/// How often a client hears that its call still waits.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

impl Confirmer {
    /// The first call opens a page; the second one, with the token, waits for the answer there.
    pub(super) async fn confirm_by_page(
        &self,
        approvals: &Approvals,
        request: &ConfirmationRequest<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Decision {
        match request.token {
            None => self.open_page(approvals, request).await,
            Some(token) => {
                self.wait_for_answer(approvals, request, token, context)
                    .await
            }
        }
    }

    async fn open_page(
        &self,
        approvals: &Approvals,
        request: &ConfirmationRequest<'_>,
    ) -> Decision {
        let (nonce, token) = match self.issue(request, SealKind::Page).await {
            Ok(issued) => issued,
            Err(rejected) => return rejected,
        };
        let ttl = self.sealer.ttl;
        let opened = approvals.open(nonce, request.principal, request.question, ttl);
        let address = match opened.await {
            Ok(page) => page.address,
            Err(reason) => return reject(&reason),
        };
        let text = format!(
            "Nothing was sent yet: a person has to approve this call on a page. Give the user its address, exactly as it is:\n\n\
             {address}\n\n\
             Tell the user what it asks:\n\n\
             {}\n\n\
             The page lists all of it and is open for {}. Do not open it yourself, and do not answer in the user's place.\n\
             Then call {} again with the same arguments and confirmation \"{token}\". That call waits for the answer; without an approval on the page it sends nothing.\n\
             Where the user cannot open the page: dry_run shows the preview here, and a client that supports elicitation asks the user itself. If nobody can be asked, stop and hand it on.\n",
            request.question.summary.join("\n"),
            self.open_for(),
            request.tool,
        );
        Decision::TokenRequired { text, token }
    }

    async fn wait_for_answer(
        &self,
        approvals: &Approvals,
        request: &ConfirmationRequest<'_>,
        token: &str,
        context: &RequestContext<RoleServer>,
    ) -> Decision {
        let sealed = match self.sealer.open(request, SealKind::Page, token) {
            Ok(sealed) => sealed,
            Err(reason) => return invalid(&reason, request),
        };
        let nonce = sealed.nonce;
        if let Err(reason) = sealed.check(request) {
            if matches!(reason, TokenError::Changed) {
                approvals.facts_changed(nonce);
            }
            return invalid(&reason, request);
        }
        let pending = approvals.call(nonce).map(Arc::new);
        let answer = tokio::select! {
            biased;
            () = context.ct.cancelled() => return reject("the call was cancelled"),
            () = request.closed.cancelled() => return reject("the client disconnected"),
            answer = approvals.answer(nonce, approvals.wait()) => answer,
            never = report_waiting(request.waiting) => match never {},
        };
        match answer {
            Answer::Approved => Decision::Granted(Grant {
                method: ConfirmationMethod::ApprovalPage,
                nonce: Some(nonce),
                pending,
            }),
            Answer::Declined => {
                let _ = self.store.take_confirmation(nonce, self.sealer.ttl).await;
                reject("the user declined on the approval page")
            }
            Answer::Pending => match approvals.address(nonce).await {
                Some(address) => not_answered(request, &address, token),
                None => invalid(&TokenError::Used, request),
            },
            Answer::Changed => invalid(&TokenError::Changed, request),
            Answer::Expired => invalid(&TokenError::Expired, request),
            Answer::Gone => invalid(&TokenError::Used, request),
        }
    }

    /// Uses the approval of a page, unless nobody waits for the call any more: then it stays for the next call.
    pub(super) fn use_page(&self, nonce: Uuid, ended: &[CancellationToken]) -> Result<(), String> {
        if ended.iter().any(CancellationToken::is_cancelled) {
            return Err(
                "Nothing was sent: the call was cancelled, or its client disconnected.".to_owned(),
            );
        }
        let approvals = self.approvals.as_ref();
        if approvals.is_some_and(|approvals| approvals.sending(nonce)) {
            Ok(())
        } else {
            Err(TokenError::Used.text(""))
        }
    }

    /// The persons are no longer those that were confirmed.
    pub fn facts_changed(&self, grant: &Grant) {
        if let Some((approvals, nonce)) = self.page(grant) {
            approvals.facts_changed(nonce);
        }
    }

    /// What became of the request, for the page.
    pub fn finished(&self, grant: &Grant, outcome: Outcome) {
        if let Some((approvals, nonce)) = self.page(grant) {
            approvals.finished(nonce, outcome_sentence(outcome));
        }
    }

    fn page(&self, grant: &Grant) -> Option<(&Approvals, Uuid)> {
        grant.pending.as_ref()?;
        Some((self.approvals.as_ref()?, grant.nonce?))
    }
}

/// Says again and again that the call waits.
async fn report_waiting(waiting: Option<&UnboundedSender<()>>) -> Infallible {
    let mut interval = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        interval.tick().await;
        if let Some(waiting) = waiting {
            // Its receiver lives as long as the call.
            let _ = waiting.send(());
        }
    }
}

fn not_answered(request: &ConfirmationRequest<'_>, address: &str, token: &str) -> Decision {
    let text = format!(
        "Nothing was sent yet: nobody has answered on the page. Ask the user to answer there:\n\n\
         {address}\n\n\
         Then call {} again with the same arguments and confirmation \"{token}\". Without an approval on the page it sends nothing.\n",
        request.tool,
    );
    let token = token.to_owned();
    Decision::TokenRequired { text, token }
}

fn outcome_sentence(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Queued => {
            "The request was sent. PostHog has accepted it and carries it out later."
        }
        Outcome::Done => "The request was sent, and it is done.",
        Outcome::Partly => {
            "The request was sent. Only a part of it is done; your assistant knows which."
        }
        Outcome::NotDone => "It was not done; your assistant knows why.",
        Outcome::Unknown => {
            "The request was sent, and it is not known whether PostHog has carried it out; your assistant knows how to find out."
        }
    }
}
