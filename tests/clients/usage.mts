// Reads every kind of answer through its type, and prints what it has found as JSON.
// test_generators.py lets TypeScript check it, and test_typescript_client.py runs it on a server.
import createClient from "openapi-fetch";
import type { components, operations, paths } from "./mengla.d.ts";

type Schemas = components["schemas"];
type Query = operations["mengla_read"]["parameters"]["query"];
type Headers = operations["mengla_read"]["responses"][200]["headers"];

const found: Record<string, unknown> = {};
const client = createClient<paths>({
  baseUrl: process.env.MENGLA_URL,
  headers: { Authorization: `Bearer ${process.env.MENGLA_TOKEN}` },
});

async function figures(query: Omit<Query, "primaryCatId" | "wait">): Promise<Schemas["FiguresResponse"]> {
  const { data, error } = await client.GET("/api/mengla", {
    params: { query: { primaryCatId: "4400", wait: 25, ...query } },
  });
  if (error) throw new Error(error.message);
  if (data.data && "collecting" in data.data) throw new Error("not collected in time");
  return { ...data, data: data.data };
}

const ranking = (await figures({ action: "hot", timest: "2023-05" })).data;
if (ranking && "list" in ranking) {
  const names: (string | null | undefined)[] = ranking.list.map((row) => row.catNameCn);
  const sales: Schemas["RankingRow"]["monthSales"][] = ranking.list.map((row) => row.monthSales);
  found.ranking = { names, sales: sales.filter((one) => typeof one === "number") };
}

const distribution = (await figures({ timest: "2023-Q1" })).data;
if (distribution && "industryBrandRateDtoList" in distribution) {
  const titles: Schemas["RangeItem"]["title"][] = distribution.industryPriceRangeDtoList.map((one) => one.title);
  found.distribution = { titles, brands: distribution.industryBrandRateDtoList.length };
}

const trend = (await figures({ action: "industryTrendRange", timest: "2023-03", starRange: "2023-01", endRange: "2023-03" })).data;
if (Array.isArray(trend)) found.trend = trend.map((point: Schemas["TrendPoint"]) => point.timest);

const empty = await figures({ action: "high", timest: "2023-02", extra: '{"_sim": {"empty_rate": 1}}' });
if (empty.data === null) found.empty = empty.message;

const miss = await client.POST("/api/mengla/chance", { body: { catId: 4400, timest: "2022-12" } });
if (miss.data?.data && "collecting" in miss.data.data) {
  const { collection } = miss.data.data;
  const followed = await client.GET("/api/mengla/collections/{collection_id}", {
    params: { path: { collection_id: collection.id } },
  });
  found.miss = { status: miss.response.status, action: followed.data?.data.action, catId: followed.data?.data.catId };
}

const refused = await client.POST("/api/mengla/chance", { body: { catId: 4400, timest: "June" } });
if (refused.error) {
  const error: Schemas["ErrorCode"] = refused.error.error;
  found.error = { error, fields: Object.keys(refused.error.fields ?? {}) };
}

const tree = await client.GET("/api/categories");
const first = tree.data?.data[0];
if (first) found.category = { catId: first.catId, children: first.children.length };

const page = await client.GET("/api/mengla/records", { params: { query: { limit: 1 } } });
if (page.data) found.page = { records: page.data.data.records.length, cursor: page.data.data.next_cursor };

const { response } = await client.GET("/api/mengla", {
  params: { query: { action: "hot", primaryCatId: 4400, timest: "2023-05" } },
});
found.freshness = response.headers.get("X-MengLa-Freshness") satisfies Headers["X-MengLa-Freshness"] | string | null;

console.log(JSON.stringify(found));
