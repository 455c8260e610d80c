// Reads the messages from the replicas and writes through the master, by way of guestbook.php.
'use strict';

const list = document.getElementById('messages');
const error = document.getElementById('error');
const input = document.getElementById('message');

async function call(parameters) {
  const reply = await fetch('guestbook.php?' + new URLSearchParams(parameters));
  const body = await reply.json();
  if (!reply.ok) throw new Error(body.error);
  return body;
}

async function load() {
  const { data } = await call({ cmd: 'get', key: 'messages' });
  return data ? JSON.parse(data) : [];
}

function show(messages) {
  list.replaceChildren(...messages.map((message) => {
    const item = document.createElement('li');
    item.textContent = message;
    return item;
  }));
}

async function attempt(action) {
  error.hidden = true;
  try {
    await action();
  } catch (reason) {
    error.textContent = 'Redis is not reachable: ' + reason.message;
    error.hidden = false;
  }
}

document.getElementById('entry').addEventListener('submit', (event) => {
  event.preventDefault();
  const message = input.value.trim();
  if (!message) return;
  attempt(async () => {
    const messages = [...await load(), message];
    await call({ cmd: 'set', key: 'messages', value: JSON.stringify(messages) });
    input.value = '';
    show(messages);
  });
});

attempt(async () => show(await load()));
