// Keeps a list up to date: the server says that it has changed, and draws it.

import { follow } from "./page.js";

follow({});
