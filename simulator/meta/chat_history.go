package meta

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"go.mau.fi/whatsmeow/proto/waWeb"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// This file is what a phone tells a linked device of earlier messages: at first a few of every chat, then the rest in
// parts, and more when it is asked.

const (
	// bootstrapMessages is how many messages of each chat the first part has.
	bootstrapMessages = 10
	// historyPart is how many messages a later part has at most.
	historyPart = 2000
	// inlineHistory is the size in bytes up to which a part goes into the message about it.
	inlineHistory = 64 << 10
)

// GrowHistory gives the person's phone chats with earlier messages, spread over the last month, and returns how many
// messages there are then. Every fifth chat is a group. The other side of a chat is made if need be; nobody gets these messages.
func (p *Person) GrowHistory(chats, messages int) (int, error) {
	if chats < 1 || messages < chats {
		return 0, fmt.Errorf("%d messages in %d chats: want at least one in each", messages, chats)
	}
	start := p.n.now().Add(-30 * 24 * time.Hour)
	step := 30 * 24 * time.Hour / time.Duration(messages+1)
	partners, err := p.historyPartners(chats)
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range messages {
		chat := partners[i%chats]
		sender, name := p.user.lid, p.user.name
		if turn := (i / chats) % 3; turn != 0 {
			who := chat.others[(i/chats)%len(chat.others)]
			sender, name = who.user.lid, who.user.name
		}
		p.remember(talk{chat: chat.jid, sender: sender, id: fmt.Sprintf("3EBH%s%08d", p.user.pn.User[max(0, len(p.user.pn.User)-6):], len(p.talks)), name: name,
			at: start.Add(time.Duration(i+1) * step), message: &waE2E.Message{Conversation: proto.String(fmt.Sprintf("old message %d", i))}})
	}
	return len(p.talks), nil
}

type historyChat struct {
	jid    types.JID
	others []*Person
}

// historyPartners are chats to have had, with people who are made if need be.
func (p *Person) historyPartners(count int) ([]historyChat, error) {
	var list []historyChat
	for i := range count {
		partner := p.n.WhatsApp(fmt.Sprintf("+4917%08d", 10_000_000+i), fmt.Sprintf("Contact %d", i))
		if partner == p {
			return nil, fmt.Errorf("%s is one of the made-up contacts: %w", p.Phone(), errRefused)
		}
		chat := historyChat{partner.user.lid, []*Person{partner}}
		if i%5 == 4 {
			group, err := partner.CreateGroup(fmt.Sprintf("Group %d", i), p.LID(), list[len(list)-1].others[0].LID())
			if err != nil {
				return nil, err
			}
			chat = historyChat{types.NewJID(strings.TrimSuffix(group, "@"+types.GroupServer), types.GroupServer),
				[]*Person{partner, list[len(list)-1].others[0]}}
		}
		list = append(list, chat)
	}
	return list, nil
}

// sendHistory tells a new device about earlier messages. p.mu is held.
func (p *Person) sendHistory(number uint16) error {
	byChat := map[types.JID][]talk{}
	for _, t := range p.talks {
		byChat[t.chat] = append(byChat[t.chat], t)
	}
	chats := p.chatsByAge(byChat)
	first := &waHistorySync.HistorySync{SyncType: waHistorySync.HistorySync_INITIAL_BOOTSTRAP.Enum(), ChunkOrder: proto.Uint32(1), Progress: proto.Uint32(10)}
	for _, chat := range chats {
		talks := byChat[chat]
		first.Conversations = append(first.Conversations, p.conversation(chat, talks[max(0, len(talks)-bootstrapMessages):], len(talks) <= bootstrapMessages))
	}
	p.addMappings(first)
	if err := p.sendHistoryPart(number, first, ""); err != nil {
		return err
	}
	if err := p.sendHistoryPart(number, p.pushNames(byChat), ""); err != nil {
		return err
	}
	return p.sendRecent(number, chats, byChat)
}

// chatsByAge are the chats, that with the newest message first.
func (p *Person) chatsByAge(byChat map[types.JID][]talk) []types.JID {
	var chats []types.JID
	for chat, talks := range byChat {
		slices.SortStableFunc(talks, func(a, b talk) int { return a.at.Compare(b.at) })
		chats = append(chats, chat)
	}
	slices.SortFunc(chats, func(a, b types.JID) int {
		newest := func(chat types.JID) time.Time { talks := byChat[chat]; return talks[len(talks)-1].at }
		return cmp.Or(newest(b).Compare(newest(a)), cmp.Compare(a.String(), b.String()))
	})
	return chats
}

// sendRecent sends what the first part has left out, in parts.
func (p *Person) sendRecent(number uint16, chats []types.JID, byChat map[types.JID][]talk) error {
	left := 0
	for _, chat := range chats {
		left += max(0, len(byChat[chat])-bootstrapMessages)
	}
	total, order := left, uint32(1)
	part := func() *waHistorySync.HistorySync {
		order++
		return &waHistorySync.HistorySync{SyncType: waHistorySync.HistorySync_RECENT.Enum(), ChunkOrder: proto.Uint32(order)}
	}
	current, held := part(), 0
	for _, chat := range chats {
		talks := byChat[chat][:max(0, len(byChat[chat])-bootstrapMessages)]
		for len(talks) > 0 {
			from := max(0, len(talks)-(historyPart-held))
			current.Conversations = append(current.Conversations, p.conversation(chat, talks[from:], from == 0))
			held, left, talks = held+len(talks)-from, left-(len(talks)-from), talks[:from]
			if held < historyPart && left > 0 {
				continue
			}
			current.Progress = proto.Uint32(uint32(100 - 90*left/max(1, total)))
			if err := p.sendHistoryPart(number, current, ""); err != nil {
				return err
			}
			current, held = part(), 0
		}
	}
	if total == 0 {
		current.Progress = proto.Uint32(100)
		return p.sendHistoryPart(number, current, "")
	}
	return nil
}

// conversation is a chat with some of its messages, newest first; ends says that there are no older ones.
func (p *Person) conversation(chat types.JID, talks []talk, ends bool) *waHistorySync.Conversation {
	c := &waHistorySync.Conversation{ID: proto.String(chat.String()), EndOfHistoryTransfer: proto.Bool(ends)}
	endType := waHistorySync.Conversation_COMPLETE_BUT_MORE_MESSAGES_REMAIN_ON_PRIMARY
	if ends {
		endType = waHistorySync.Conversation_COMPLETE_AND_NO_MORE_MESSAGE_REMAIN_ON_PRIMARY
	}
	c.EndOfHistoryTransferType = endType.Enum()
	for i := len(talks) - 1; i >= 0; i-- {
		c.Messages = append(c.Messages, &waHistorySync.HistorySyncMsg{Message: p.webMessage(talks[i]), MsgOrderID: proto.Uint64(uint64(i + 1))})
	}
	if len(talks) > 0 {
		at := proto.Uint64(uint64(talks[len(talks)-1].at.Unix()))
		c.LastMsgTimestamp, c.ConversationTimestamp = at, at
	}
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if u := p.n.userAt(chat); u != nil {
		c.LidJID, c.PnJID, c.DisplayName = proto.String(u.lid.String()), proto.String(u.pn.String()), proto.String(u.name)
	} else if g := p.n.groups[chat.User]; g != nil {
		c.Name = &g.subject
		if g.topic != "" {
			c.Description = &g.topic
		}
		for _, m := range g.members {
			rank := map[string]waHistorySync.GroupParticipant_Rank{rankMember: waHistorySync.GroupParticipant_REGULAR,
				rankAdmin: waHistorySync.GroupParticipant_ADMIN, rankOwner: waHistorySync.GroupParticipant_SUPERADMIN}[m.rank]
			c.Participant = append(c.Participant, &waHistorySync.GroupParticipant{UserJID: proto.String(m.user.lid.String()), Rank: rank.Enum()})
		}
	}
	return c
}

// webMessage is a message as histories have it.
func (p *Person) webMessage(t talk) *waWeb.WebMessageInfo {
	own := t.sender.User == p.user.lid.User
	m := &waWeb.WebMessageInfo{Key: &waCommon.MessageKey{RemoteJID: proto.String(t.chat.String()), FromMe: &own, ID: proto.String(t.id)},
		Message: t.message, MessageTimestamp: proto.Uint64(uint64(t.at.Unix())), Status: waWeb.WebMessageInfo_READ.Enum()}
	if secret := t.message.GetMessageContextInfo().GetMessageSecret(); len(secret) > 0 {
		m.MessageSecret = secret
	}
	if !own {
		m.PushName = filled(t.name)
		if t.chat.Server == types.GroupServer {
			m.Key.Participant, m.Participant = proto.String(t.sender.String()), proto.String(t.sender.String())
		}
	}
	return m
}

// addMappings tells which numbers belong together, and the settings of the account.
func (p *Person) addMappings(h *waHistorySync.HistorySync) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	for _, c := range h.Conversations {
		if c.LidJID != nil {
			h.PhoneNumberToLidMappings = append(h.PhoneNumberToLidMappings, &waHistorySync.PhoneNumberToLIDMapping{PnJID: c.PnJID, LidJID: c.LidJID})
		}
	}
	h.GlobalSettings = &waHistorySync.GlobalSettings{ChatDbLidMigrationTimestamp: proto.Int64(p.n.now().Add(-90 * 24 * time.Hour).Unix())}
}

// pushNames are the names of everybody who wrote, as they call themselves.
func (p *Person) pushNames(byChat map[types.JID][]talk) *waHistorySync.HistorySync {
	names := map[string]string{}
	for _, talks := range byChat {
		for _, t := range talks {
			if t.sender.User != p.user.lid.User && t.name != "" {
				names[t.sender.String()] = t.name
			}
		}
	}
	h := &waHistorySync.HistorySync{SyncType: waHistorySync.HistorySync_PUSH_NAME.Enum(), ChunkOrder: proto.Uint32(1), Progress: proto.Uint32(100)}
	for jid, name := range names {
		h.Pushnames = append(h.Pushnames, &waHistorySync.Pushname{ID: &jid, Pushname: &name})
	}
	return h
}

// sendHistoryPart packs a part of the history and tells a device where it is. p.mu is held.
func (p *Person) sendHistoryPart(number uint16, h *waHistorySync.HistorySync, asked string) error {
	data, err := proto.Marshal(h)
	if err != nil {
		return fmt.Errorf("failed to write a history: %w", err)
	}
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	if _, err = w.Write(data); err == nil {
		err = w.Close()
	}
	if err != nil {
		return fmt.Errorf("failed to pack a history: %w", err)
	}
	kind := waE2E.HistorySyncType(h.GetSyncType())
	notice := &waE2E.HistorySyncNotification{SyncType: &kind, ChunkOrder: h.ChunkOrder, Progress: h.Progress, PeerDataRequestSessionID: filled(asked)}
	if packed.Len() <= inlineHistory && h.GetSyncType() == waHistorySync.HistorySync_INITIAL_BOOTSTRAP {
		notice.InitialHistBootstrapInlinePayload = packed.Bytes()
	} else {
		file, err := sealFile(packed.Bytes(), "history")
		if err != nil {
			return err
		}
		notice.MediaKey, notice.FileSHA256, notice.FileEncSHA256 = file.key, file.plainSum, file.encSum
		notice.FileLength, notice.DirectPath = proto.Uint64(uint64(packed.Len())), proto.String(p.n.PutMedia(file.blob))
		notice.EncHandle = proto.String("h" + strconv.Itoa(packed.Len()))
	}
	return p.sendPeer(number, &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_HISTORY_SYNC_NOTIFICATION.Enum(), HistorySyncNotification: notice})
}

// sendOnDemand sends the messages of a chat right before one that the device knows. p.mu is held.
func (p *Person) sendOnDemand(number uint16, asked string, request *waE2E.PeerDataOperationRequestMessage_HistorySyncOnDemandRequest) error {
	jid, err := types.ParseJID(request.GetChatJID())
	if err != nil {
		return fmt.Errorf("chat %q: %w", request.GetChatJID(), errNoRecord)
	}
	chat := p.n.canonical(jid)
	byChat := map[types.JID][]talk{}
	for _, t := range p.talks {
		if t.chat == chat {
			byChat[chat] = append(byChat[chat], t)
		}
	}
	p.chatsByAge(byChat)
	before := byChat[chat]
	if at := slices.IndexFunc(before, func(t talk) bool { return t.id == request.GetOldestMsgID() }); at >= 0 {
		before = before[:at]
	} else {
		before = slices.DeleteFunc(slices.Clone(before), func(t talk) bool { return t.at.Unix() >= request.GetOldestMsgTimestampMS() })
	}
	from := max(0, len(before)-int(request.GetOnDemandMsgCount()))
	return p.sendHistoryPart(number, &waHistorySync.HistorySync{SyncType: waHistorySync.HistorySync_ON_DEMAND.Enum(), ChunkOrder: proto.Uint32(1),
		Progress: proto.Uint32(100), Conversations: []*waHistorySync.Conversation{p.conversation(chat, before[from:], from == 0)}}, asked)
}
