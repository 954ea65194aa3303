// A CSV file with a header row, read by column name. Quoted fields may hold commas; empty cells stay empty.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moeline {

class Csv {
 public:
  // SpecError names the file and line of what cannot be read.
  static Csv read(const std::string& path);
  static Csv parse(std::string text, const std::string& origin);

  std::size_t rows() const { return cells_.size(); }
  const std::vector<std::string>& columns() const { return columns_; }
  bool has(std::string_view column) const { return find(column).has_value(); }
  bool has_all(const std::vector<std::string_view>& columns) const;
  std::string_view text(std::size_t row, std::string_view column) const;      // SpecError if there is no such column
  std::optional<double> number(std::size_t row, std::string_view column) const;  // nullopt: empty, not a number, not finite
  // Drops the rows for which `kept` is false; asks once a row, in order.
  void keep(const std::function<bool(std::size_t row)>& kept);
  const std::string& origin() const { return origin_; }

 private:
  std::optional<std::size_t> find(std::string_view column) const;

  std::string origin_;
  std::shared_ptr<const std::string> text_;  // the cells are views of it
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string_view>> cells_;
};

}  // namespace moeline
