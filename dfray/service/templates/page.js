"use strict";
// The token comes in the part of the URL that browsers send to nobody, and stays in this tab.
const at = (id) => document.getElementById(id);
const POLL_MS = 400;
let busy = false;

const named = new URLSearchParams(location.hash.slice(1)).get("token");
if (named) {
  sessionStorage.setItem("token", named);
  history.replaceState(null, "", location.pathname);
}

function headers(more) {
  const token = sessionStorage.getItem("token");
  return token ? { Authorization: `Bearer ${token}`, ...more } : { ...more };
}

function show(id, visible) {
  at(id).hidden = !visible;
}

function tell(text, value) {
  at("state").textContent = text;
  if (value === undefined) at("progress").removeAttribute("value");
  else at("progress").value = value;
  show("progress", true);
  show("work", true);
}

function refuse(status, reason) {
  show("work", false);
  if (status === 401) {
    sessionStorage.removeItem("token");
    show("access", true);
    at("token").focus();
  }
  at("refusal").textContent = reason;
  show("refusal", true);
}

async function known() {
  const answer = await fetch("/metrics", { headers: headers() });
  show("access", answer.status === 401);
}

function upload(file) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/score?report=true");
    for (const [name, value] of Object.entries(headers({ Prefer: "respond-async" })))
      request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      const share = event.lengthComputable ? event.loaded / event.total : undefined;
      const part = share === undefined ? "" : ` ${Math.round(100 * share)} %`;
      tell(`${file.name}: sending${part}`, share);
    };
    request.onload = () => done({ status: request.status, document: parsed(request.responseText) });
    request.onerror = () => failed(new Error("The connection to the service broke off."));
    const form = new FormData();
    form.append("file", file);
    request.send(form);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { reason: text.slice(0, 300) || "The service gave no reason." };
  }
}

function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

async function followed(file, id) {
  for (;;) {
    const answer = await fetch(`/result/${id}`, { headers: headers() });
    const job = parsed(await answer.text());
    if (!answer.ok || job.state === "failed") return { status: job.status ?? answer.status, ...job };
    if (job.state === "done") return job;
    const { frames, time_s } = job.progress;
    const until = time_s === null ? "" : `, to ${time_s.toFixed(1)} s`;
    const looked = frames ? `looked at ${frames} frames${until}` : "waiting for its turn";
    tell(`${file.name}: ${looked}`);
    await pause(POLL_MS);
  }
}

async function open(id) {
  const answer = await fetch(`/result/${id}`, { headers: headers({ Accept: "text/html" }) });
  if (!answer.ok) throw new Error(parsed(await answer.text()).reason);
  const html = await answer.text();
  at("page").srcdoc = html;
  if (at("save").href) URL.revokeObjectURL(at("save").href);
  at("save").href = URL.createObjectURL(new Blob([html], { type: "text/html" }));
}

async function score(file) {
  if (busy) return;
  const most = Number(at("file").dataset.most); // a service ends the connection at what is larger
  if (file.size > most) {
    refuse(413, `${file.name}: the file is larger than ${most / 2 ** 20} MiB, the most that is taken.`);
    return;
  }
  busy = true;
  at("drop").classList.add("busy");
  for (const id of ["refusal", "result"]) show(id, false);
  tell(`${file.name}: sending`, 0);
  try {
    const sent = await upload(file);
    const end = sent.status === 202 ? await followed(file, sent.document.id) : sent.document;
    if (end.state === "done") {
      await open(end.id);
      const score = end.score.fake_probability;
      tell(`${file.name}: ${score === null ? "no face was found" : `score ${score.toFixed(3)}`}`, 1);
      show("progress", false);
      show("result", true);
      at("result").focus();
    } else {
      refuse(end.status ?? sent.status, `${file.name}: ${end.reason}`);
    }
  } catch (error) {
    refuse(0, `${file.name}: ${error.message}`);
  } finally {
    busy = false;
    at("drop").classList.remove("busy");
    at("file").value = "";
  }
}

function chosen(files) {
  if (files.length > 1) refuse(0, "Drop one file at a time; `dfray score` scores many.");
  else if (files.length) score(files[0]);
}

at("page").addEventListener("load", () => {
  const inside = at("page").contentDocument;
  if (inside?.documentElement) at("page").style.height = `${inside.documentElement.scrollHeight + 4}px`;
});
at("file").addEventListener("change", () => chosen(at("file").files));
at("file").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return; // a space opens the dialog without this
  event.preventDefault();
  at("file").click();
});
at("access").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", at("token").value.trim());
  at("token").value = "";
  show("refusal", false);
  known();
});
for (const kind of ["dragenter", "dragover"])
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.add("over");
  });
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) at("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  chosen(event.dataTransfer.files);
});
known();
