//! What forms can offer: repositories that the token sees, and their labels.

use sluicegate_sdk::{Choice, Error, Offers, Result, Search, choices, object};

use crate::api;

/// GitHub's largest page.
const PAGE: usize = 100;

#[object]
struct Named {
    full_name: String,
}

/// A repository
///
/// Those that the connection's token can see, the ones changed last first.
#[choices]
pub fn repository(search: &Search) -> Result<Offers> {
    let page = search.page_number();
    let request = api::get("/user/repos").query("sort", "pushed").query("per_page", PAGE).query("page", page);
    let response = request.send()?;
    let repositories: Vec<Named> = response.json()?;
    let names = repositories.into_iter().map(|repository| repository.full_name).filter(|name| search.meets(name));
    let next = response.has_next_page().then(|| (page + 1).to_string());
    Ok(Offers { choices: names.map(Choice::of).collect(), next })
}

/// A label
///
/// Those of the repository that is filled in.
#[choices(needs = ["repository"])]
pub fn repository_label(search: &Search) -> Result<Offers> {
    let repository = search.text("repository").ok_or_else(|| {
        Error::invalid_input("/repository", "a repository, before its labels can be listed", "nothing")
    })?;
    let page = search.page_number();
    let request = api::get("/repos/{owner}/{repo}/labels").query("per_page", PAGE).query("page", page);
    let response = api::send_to(repository, request)?;
    let labels: Vec<api::Label> = response.json()?;
    let names = labels.into_iter().map(|label| label.name).filter(|name| search.meets(name));
    let next = response.has_next_page().then(|| (page + 1).to_string());
    Ok(Offers { choices: names.map(Choice::of).collect(), next })
}
