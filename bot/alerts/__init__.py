"""What a person is told of a run on their phone: which news, in which words, how often. Sending is `bot.net`'s."""
