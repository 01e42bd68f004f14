"use strict";
// Asks the browser for a passkey, or to sign with one, and sends what it gives with the form.
(() => {
  const form = document.getElementById("passkey");
  const known = window.PublicKeyCredential;
  if (!form || !known || !known.parseRequestOptionsFromJSON || !known.parseCreationOptionsFromJSON) {
    return;
  }
  const made = async () => {
    if (form.dataset.options) {
      const publicKey = known.parseCreationOptionsFromJSON(JSON.parse(form.dataset.options));
      return navigator.credentials.create({ publicKey });
    }
    const invoice = form.elements.namedItem("invoice").value;
    const answer = await fetch(form.dataset.challenge, {
      method: "POST",
      body: new URLSearchParams({ invoice }),
    });
    if (!answer.ok) {
      throw new Error(answer.statusText);
    }
    const publicKey = known.parseRequestOptionsFromJSON(await answer.json());
    return navigator.credentials.get({ publicKey });
  };
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) {
      return;
    }
    busy = true;
    const said = form.querySelector("[data-failed]");
    said.textContent = "";
    try {
      const credential = await made();
      form.elements.namedItem("credential").value = JSON.stringify(credential.toJSON());
      form.submit();
    } catch {
      said.textContent = said.dataset.failed;
    }
    busy = false;
  });
  form.hidden = false;
})();
