// Prints what is at a URL. It knows of no CA, and of no proxy but that Node.js before
// 24 has to be told to obey HTTPS_PROXY, by undici.
if (Number(process.versions.node.split('.')[0]) < 24) {
  const { ProxyAgent, setGlobalDispatcher, fetch } = require('undici');
  if (process.env.HTTPS_PROXY) {
    setGlobalDispatcher(new ProxyAgent(process.env.HTTPS_PROXY));
  }
  globalThis.fetch = fetch;
}
fetch(process.argv[2]).then(async (answer) => {
  if (!answer.ok) {
    throw new Error(`status ${answer.status}`);
  }
  process.stdout.write(await answer.text());
}).catch((error) => {
  console.error(error, error.cause);
  process.exit(1);
});
