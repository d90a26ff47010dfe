// Reads queries in Power Query's language M as a JSON list from standard input; writes their syntax trees.
const { DefaultSettings, TaskUtils } = require("@microsoft/powerquery-parser");
const { readFileSync } = require("node:fs");

const LEFT_OUT = new Set(["id", "attributeIndex", "tokenRange", "isLeaf", "parentId"]);
const keepOne = (name, value) => (LEFT_OUT.has(name) ? undefined : value);

async function main() {
    const trees = [];
    for (const text of JSON.parse(readFileSync(0, "utf8"))) {
        const parsed = await TaskUtils.tryLexParse(DefaultSettings, text);
        if (!TaskUtils.isParseStageOk(parsed)) {
            throw parsed.error;
        }
        trees.push(parsed.ast);
    }
    process.stdout.write(JSON.stringify(trees, keepOne));
}

main().catch((error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
});
