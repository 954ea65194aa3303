#include "reports/page.hpp"

#include <catch2/catch.hpp>

#include "error_of.hpp"
#include "reports/page_answer.hpp"
#include "reports/sweep_page.hpp"

using namespace moeline;

TEST_CASE("nothing in an answer can end the element that carries it") {
  if (!pages_are_built_in()) return;
  const Json answer{{"kind", "train"}, {"model", "</script><!-- \xff \u202e"}};
  const std::string page = page_html({.command = "moeline '</script>'", .answers = Json::array({answer})});
  CHECK(page.find("<!-- \xff") == std::string::npos);
  CHECK(page.find("moeline '</script>'") == std::string::npos);
  CHECK(page.find("moeline '\\u003c/script>'") != std::string::npos);
  CHECK(page.find("\\u003c/script>\\u003c!-- \xef\xbf\xbd") != std::string::npos);  // what is no text is replaced
}

TEST_CASE("a column of a sweep whose values recur is written once") {
  const Json page = sweep_page("/parallelism/ep,mfu,reason\n8,0.25,\n8,0.5,\"a, \"\"b\"\"\"\n8,0.125,\n16,,\n", "rows.csv");
  CHECK(page["rows"] == 4);
  CHECK(page["columns"][0] == Json{{"name", "/parallelism/ep"}, {"distinct", {8.0, 16.0}}, {"at", {0, 0, 0, 1}}});
  CHECK(page["columns"][1] == Json{{"name", "mfu"}, {"values", {0.25, 0.5, 0.125, nullptr}}});
  CHECK(page["columns"][2]["distinct"] == Json{nullptr, "a, \"b\""});
}

TEST_CASE("rows of JSON lines may lack a figure") {
  const Json page = sweep_page("{\"a\":1}\n{\"a\":2,\"b\":\"x\"}\n", "rows.jsonl");
  CHECK(page["columns"][0]["values"] == Json{1, 2});
  CHECK(page["columns"][1]["name"] == "b");
  CHECK(page["columns"][1]["values"] == Json{nullptr, "x"});
}

TEST_CASE("a page holds every op with formula, flops and bytes") {
  const Json asked{{"model", "qwen3-30b-a3b"}, {"hardware", "h200-sxm"}, {"devices", 8}};
  const Json page = page_answer(answer_to(asked, "scenario"), asked, "scenario")["page"];
  CHECK(page["asked"] == asked);
  CHECK(page["ops"].size() > 20);
  for (const Json& op : page["ops"]) {
    CAPTURE(op["name"]);
    CHECK_FALSE(op["formula"].get<std::string>().empty());
    CHECK(op["flops"].get<double>() + op["bytes"].get<double>() > 0);
  }
  CHECK(page["roofline"]["bytes_per_second"] == 4.8e12);  // of an H200
}

TEST_CASE("the speed-ups of a page hold the answer's own") {
  const Json asked = parse_json(R"({"model": "qwen3-32b", "hardware": "h100-sxm", "devices": 4, "parallelism": {"tp": 4},
      "workload": {"kind": "serve", "input": 512, "output": 512, "concurrency": 1},
      "speculation": {"kind": "sd", "draft": "qwen3-0.6b", "draft_tokens": 4, "acceptance": 0.77}})", "scenario");
  const Json answer = page_answer(answer_to(asked, "scenario"), asked, "scenario");
  const Json& speedups = answer["page"]["speedups"];
  CHECK(speedups["now"] == Json{{"draft_tokens", 4}, {"sequences", 1.0}});
  CHECK(speedups["speedup"][3][0] == answer["speculation"]["speedup"]);  // four tokens, one sequence
  CHECK(speedups["speedup"].size() == 12);
  for (const Json& row : speedups["speedup"]) CHECK(row.size() == speedups["sequences"].size());
}
