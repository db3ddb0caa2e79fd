#!/usr/bin/env node
import { launch } from "./launch.js";

await launch(["coordinator", "start", ...process.argv.slice(2)]);
