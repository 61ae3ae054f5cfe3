// Passkeys: the ceremony of the browser between two posts of one form. The first post is answered
// with a challenge, the second sends the signature. Without this file, or without passkeys in the
// browser, the form stays hidden and the other ways on the page remain.

const CEREMONIES = {
  create: {
    parse: (options) => PublicKeyCredential.parseCreationOptionsFromJSON(options),
    ask: (publicKey) => navigator.credentials.create({ publicKey }),
  },
  get: {
    parse: (options) => PublicKeyCredential.parseRequestOptionsFromJSON(options),
    ask: (publicKey) => navigator.credentials.get({ publicKey }),
  },
};
const canUsePasskeys = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!canUsePasskeys) continue;
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    perform(form, CEREMONIES[form.dataset.passkey]);
  });
}

async function perform(form, ceremony) {
  say(form, "");
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const credential = await ceremony.ask(ceremony.parse(await fetchOptions(form)));
    form.elements.credential.value = JSON.stringify(credential.toJSON());
    form.submit();
  } catch (error) {
    say(form, explain(error));
    button.disabled = false;
  }
}

async function fetchOptions(form) {
  const body = new FormData(form);
  body.set("credential", "");
  const response = await fetch(form.action, { method: "POST", body });
  if (!response.ok) throw new Error(`error ${response.status}`);
  return (await response.json()).publicKey;
}

function explain(error) {
  if (error.name === "InvalidStateError") return "This device has a passkey for this account already.";
  if (error.name === "NotAllowedError") return "No passkey was used. Nothing was sent; try again when you are ready.";
  if (error.name === "SecurityError") return "Browsers allow no passkeys at this address. Nothing was sent.";
  return `The passkey could not be used (${error.message}). Nothing was sent; reload the page and try again.`;
}

function say(form, text) {
  const line = form.querySelector("[data-says]");
  line.textContent = text;
  line.hidden = !text;
}
