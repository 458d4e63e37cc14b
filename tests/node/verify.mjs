// Verifies the webhook that standard input describes, and prints its payload; with another secret it fails.
import { Webhook } from "standardwebhooks";

let input = "";
for await (const chunk of process.stdin) {
  input += chunk;
}
const { secret, body, fields } = JSON.parse(input);
console.log(JSON.stringify(new Webhook(secret).verify(body, fields)));
