// Latencies in logarithmic buckets: constant memory, 3 % resolution from 1 ns to hours.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace demos {

class LatencyHistogram {
 public:
  void add(std::int64_t nanoseconds) {
    ++counts_[bucket_of(nanoseconds < 0 ? 0 : static_cast<std::uint64_t>(nanoseconds))];
    ++total_;
  }

  void clear() { *this = LatencyHistogram(); }

  std::uint64_t total() const { return total_; }

  /// Upper edge of the bucket that holds the given fraction (0.99 for p99); 0 when empty.
  double quantile_ns(double fraction) const {
    const auto rank = static_cast<std::uint64_t>(fraction * static_cast<double>(total_));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
      seen += counts_[bucket];
      if (seen > rank || (seen == total_ && total_ > 0)) return upper_edge(bucket);
    }
    return 0;
  }

 private:
  // Values below 32 have a bucket each; above, every power of two is cut into 32 buckets.
  static constexpr int kSubBits = 5;
  static constexpr std::uint64_t kSub = 1u << kSubBits;

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < kSub) return value;
    const int shift = std::bit_width(value) - 1 - kSubBits;
    return (static_cast<std::size_t>(shift) + 1) * kSub + ((value >> shift) - kSub);
  }

  static double upper_edge(std::size_t bucket) {
    if (bucket < kSub) return static_cast<double>(bucket);
    const std::uint64_t shift = bucket / kSub - 1;
    return static_cast<double>((bucket % kSub + kSub + 1) << shift);
  }

  std::array<std::uint64_t, kSub*(64 - kSubBits + 1)> counts_{};
  std::uint64_t total_ = 0;
};

}  // namespace demos
