/** The address that a started `movecast serve` (or `npm start`) prints. Rejects with what it printed, if it ends before. */
export function serviceUrl(child, name) {
  return new Promise((resolve, reject) => {
    let text = '';
    const read = (chunk) => {
      text += chunk;
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(text);
      if (found) resolve(found[0]);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('exit', (code) => reject(new Error(`${name} ended with ${code}: ${text}`)));
  });
}
