#include "fit/csv.hpp"

#include <catch2/catch.hpp>

#include "error_of.hpp"

namespace moeline {

TEST_CASE("cells are found by row and column name, numbers only where there are numbers", "[unit]") {
  const Csv csv = Csv::parse("gpu,m,note\nh200,128,\nb200,,\"two, with a comma\"\n", "x.csv");
  REQUIRE(csv.rows() == 2);
  CHECK(csv.text(0, "gpu") == "h200");
  CHECK(csv.number(0, "m") == 128);
  CHECK_FALSE(csv.number(1, "m"));
  CHECK(csv.text(1, "note") == "two, with a comma");
  CHECK(csv.has_all({"gpu", "m"}));
  CHECK_FALSE(csv.has("latency_us"));
}

TEST_CASE("a line with too few fields is an error with its line number", "[unit]") {
  CHECK_THROWS_WITH(Csv::parse("a,b\n1,2\n3\n", "x.csv"), "x.csv:3: 1 fields where the header names 2");
  CHECK_THROWS_WITH(Csv::parse("", "x.csv"), "x.csv: the file is empty");
  CHECK_THROWS_AS(Csv::read("/nonexistent.csv"), SpecError);
}

TEST_CASE("windows line ends and a missing last newline change nothing", "[unit]") {
  const Csv csv = Csv::parse("a,b\r\n1,2\r\n3,4", "x.csv");
  CHECK(csv.rows() == 2);
  CHECK(csv.number(1, "b") == 4);
}

}  // namespace moeline
