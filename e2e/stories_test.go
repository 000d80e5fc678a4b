package e2e

import (
	"sync"
	"testing"
	"time"

	"causeway/e2e/stage"
)

const (
	// togetherLimit bounds the world that many stories share, atATime is how many are told in it at once.
	togetherLimit = 12 * time.Minute
	atATime       = 6
)

// story is one conversation, told on each network in the same words. A name that ends in "(stand-in)" says that the stand-in
// plays what the homeserver does not push.
type story struct {
	name string
	act  func(*world)
}

// together are the stories that do not disturb each other: each has its own users and people.
func together() []story {
	return []story{
		{"a person writes first", personWritesFirst},
		{"a Matrix user writes first", matrixUserWritesFirst},
		{"ten messages each way", tenMessagesEachWay},
		{"receipts reach Matrix", receiptsReachMatrix},
		{"delivery receipt reaches the phone", deliveryReceiptReachesThePhone},
		{"read receipt reaches the phone (stand-in)", readReceiptReachesThePhone},
		{"typing reaches Matrix", typingReachesMatrix},
		{"typing reaches the phone (stand-in)", typingReachesThePhone},
		{"not opted in", notOptedIn},
		{"opt-out and in again", optOutAndInAgain},
		{"unknown person", unknownPerson},
		{"block", block},
		{"two Matrix users and one person", twoMatrixUsersOnePerson},
		{"connection lost", connectionLost},
		{"message request (stand-in)", messageRequest},
		{"declined request", declinedRequest},
		{"report and block", reportAndBlock},
		{"safety numbers", safetyNumbers},

		{"formatted text", formattedText},
		{"link previews", linkPreviews},
		{"replies, also to files", replies},
		{"reactions", reactions},
		{"files from the phone", filesFromThePhone},
		{"files from Matrix", filesFromMatrix},
		{"broken files from the phone", brokenFiles},
		{"converted files", convertedFiles},
		{"edits and removals from Matrix", changesFromMatrix},
		{"edits and removals from the phone", changesFromThePhone},
		{"what no third-party chat knows", fallbacks},
		{"trouble on the way", troubleOnTheWay},
	}
}

// apart are the stories that stop the bridge, or change what all share.
func apart() []story {
	return []story{
		{"bridge restart", bridgeRestart},
		{"bridge killed", bridgeKilled},
		{"a message waits for the network", messageWaitsForTheNetwork},
		{"replies across a restart", repliesAcrossARestart},
		{"key rotation", keyRotation},
		{"expired token", expiredToken},
	}
}

// TestStories tells the stories on both networks, several at a time in one world: most of a story is waiting, so that it
// takes no place of those that -parallel counts.
func TestStories(t *testing.T) {
	w := newWorld(t, lasting(togetherLimit))
	for _, side := range sides() {
		t.Run(side.name(), func(t *testing.T) {
			var tellers sync.WaitGroup
			queue := make(chan story)
			for range atATime {
				tellers.Go(func() {
					for story := range queue {
						t.Run(story.name, func(t *testing.T) { story.act(w.view(t, side)) })
					}
				})
			}
			for _, story := range together() {
				queue <- story
			}
			close(queue)
			tellers.Wait()
		})
	}
}

// TestStoriesApart tells those that need a world of their own.
func TestStoriesApart(t *testing.T) {
	for _, side := range sides() {
		t.Run(side.name(), func(t *testing.T) {
			for _, story := range apart() {
				t.Run(story.name, func(t *testing.T) { story.act(newWorld(t, on(side))) })
			}
		})
	}
}

// Without a converter a file that needs one goes as it is, and the room says so.
func TestFilesWithoutConverter(t *testing.T) {
	w := newWorld(t, withConfig(func(config stage.Config) { config.Set("network.media.ffmpeg", "/nowhere/ffmpeg") }))
	for _, side := range sides() {
		t.Run(side.name(), func(t *testing.T) {
			t.Parallel()
			filesWithoutConverter(w.view(t, side))
		})
	}
}
